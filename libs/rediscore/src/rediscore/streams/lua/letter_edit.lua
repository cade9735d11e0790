-- Lay a corrected body beside a dead letter, in place of an earlier one; the letter itself stays as it is.
-- KEYS[1] dead letters (stream)   KEYS[2] corrections (hash: id -> body, "id:note" -> JSON)
-- KEYS[3] letters per group (hash)   KEYS[4] audit (stream)   KEYS[5] of this request
-- ARGV[1] ms that a repeat is recognised   ARGV[2] id   ARGV[3] by   ARGV[4] why
-- ARGV[5] body   ARGV[6] note: a JSON object
-- Reply: 1, or 0 when there is no such letter.
-- @include /once.lua
local DEAD, EDITS, COUNTS, AUDIT = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
-- @include letters.lua
return once(KEYS[5], ARGV[1], function()
  local letter = find(ARGV[2])
  if not letter then return 0 end
  local note_field = ARGV[2] .. ':note'
  redis.call('HSET', EDITS, ARGV[2], ARGV[5], note_field, ARGV[6])
  note('edit', ARGV[2], letter, ARGV[3], ARGV[4])
  return 1
end)
