-- Included by scripts that take letters out of a dead-letter stream.
-- KEYS: names them DEAD, EDITS, COUNTS, AUDIT; see letter_edit.lua.
-- Reply: that of the script which includes it.
local AUDIT_KEPT = 10000

local function find(id)
  local found = redis.call('XRANGE', DEAD, id, id)[1]
  if not found then return nil end
  local letter = {}
  for i = 1, #found[2], 2 do letter[found[2][i]] = found[2][i + 1] end
  return letter
end

local function note(action, id, letter, by, why)
  redis.call('XADD', AUDIT, 'MAXLEN', '~', AUDIT_KEPT, '*', 'action', action, 'letter', id, 'group', letter.group,
    'reason', letter.reason, 'original_id', letter.original_id, 'by', by, 'why', why)
end

local function take_out(id, letter)
  redis.call('XDEL', DEAD, id)
  local note_field = id .. ':note'
  redis.call('HDEL', EDITS, id, note_field)
  if redis.call('HINCRBY', COUNTS, letter.group, -1) <= 0 then redis.call('HDEL', COUNTS, letter.group) end
end
