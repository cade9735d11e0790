-- Write values of one shard; leases on their keys are void.
-- KEYS[1..n]  entries
-- KEYS[n+1]   marks
-- ARGV[1]     ms that a value lives at most, 0 = for ever
-- ARGV[2..]   for each entry two: its bytes, ms to keep it (0 = for ever)
-- Reply       how many
-- @include lib.lua
local marks = KEYS[#KEYS]
for i = 1, #KEYS - 1 do
  write(KEYS[i], marks, ARGV[2 * i], tonumber(ARGV[2 * i + 1]), tonumber(ARGV[1]))
end
return #KEYS - 1
