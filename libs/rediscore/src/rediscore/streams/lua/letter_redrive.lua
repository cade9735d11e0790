-- Send one dead letter again, to its group alone.
-- KEYS[1..5] as in letter_edit.lua   KEYS[6] what is sent again to the group (stream)
-- ARGV[1] ms that a repeat is recognised   ARGV[2] id   ARGV[3] by   ARGV[4] why
-- ARGV[5] group   ARGV[6] most entries in KEYS[6]
-- Reply: 1; 0 when there is no such letter of this group (any more); -1 when KEYS[6] is full.
-- @include /once.lua
local DEAD, EDITS, COUNTS, AUDIT = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
-- @include letters.lua
-- @include redrives.lua
return once(KEYS[5], ARGV[1], function()
  local letter = find(ARGV[2])
  if not letter or letter.group ~= ARGV[5] then return 0 end
  if redis.call('XLEN', KEYS[6]) >= tonumber(ARGV[6]) then return -1 end
  send(KEYS[6], ARGV[2], letter, ARGV[3], ARGV[4])
  return 1
end)
