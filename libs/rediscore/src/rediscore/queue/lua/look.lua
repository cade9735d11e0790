-- A page of one state for somebody who watches, without changing anything.
-- KEYS     as in lib.lua
-- ARGV[5]  ready, delayed, leased or dead
-- ARGV[6]  how many to leave out
-- ARGV[7]  how many at most; 0 = only count
-- ARGV[8]  1 = from the last one backwards
-- ARGV[9]  'failed' = only those that have failed before, 'fresh' = only those that have not, '' = both
-- ARGV[10] only those whose payload begins with this
-- ARGV[11] how many to look through at most (up to 1000)
-- Reply    {how many to leave out for the next page; -1 = there is none,
--           how many of those looked through are meant, row (as of peek.lua), …}
-- @include lib.lua
local state, offset, most, kind, prefix = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[9], ARGV[10]
local depth = tonumber(ARGV[11])

local arguments = {'ZRANGE', SETS[state], offset, offset + depth - 1}
if ARGV[8] == '1' then arguments[#arguments + 1] = 'REV' end
arguments[#arguments + 1] = 'WITHSCORES'
local found = redis.call(unpack(arguments))

local function meant(entry)
  if kind == 'failed' and entry.failures == 0 or kind == 'fresh' and entry.failures > 0 then return false end
  return string.sub(entry.payload, 1, #prefix) == prefix
end

local ids, rows, matched, seen = {}, {}, 0, 0
for i = 1, #found, 2 do ids[#ids + 1] = state == 'ready' and id_of(found[i]) or found[i] end
-- In portions: a page is mostly full long before `depth`.
for first = 1, #ids, 100 do
  if most > 0 and #rows == most then break end
  read({unpack(ids, first, math.min(first + 99, #ids))})
  for i = first, math.min(first + 99, #ids) do
    local entry = records[ids[i]]
    if meant(entry) then
      if most > 0 and #rows == most then break end
      matched = matched + 1
      if most > 0 then
        local due = state == 'ready' and entry.entered or tonumber(found[2 * i])
        rows[#rows + 1] = {
          ids[i], entry.payload, entry.priority, entry.entered, due,
          entry.failures, entry.recoveries, entry.owner or '', entry.reason or '',
        }
      end
    end
    seen = i
  end
end

local left = seen < #ids or #ids == depth and offset + depth < redis.call('ZCARD', SETS[state])
return {left and offset + seen or -1, matched, unpack(rows)}
