-- Throw a dead letter away.
-- KEYS as in letter_edit.lua
-- ARGV[1] ms that a repeat is recognised   ARGV[2] id   ARGV[3] by   ARGV[4] why
-- Reply: 1, or 0 when there is no such letter.
-- @include /once.lua
local DEAD, EDITS, COUNTS, AUDIT = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
-- @include letters.lua
return once(KEYS[5], ARGV[1], function()
  local letter = find(ARGV[2])
  if not letter then return 0 end
  note('drop', ARGV[2], letter, ARGV[3], ARGV[4])
  take_out(ARGV[2], letter)
  return 1
end)
