-- Read several sessions of one user without touching their idle times.
-- KEYS[1..] index as in lib.lua; [2..] sessions
-- ARGV[3..] digest of each
-- Reply    {end (ms) and {name, value, ...} of each; 0 and {} of a dead one}
-- @include lib.lua
local found = {}
for i = 2, #KEYS do
  local ends = living(ARGV[i + 1])
  table.insert(found, ends or 0)
  table.insert(found, ends and redis.call('HGETALL', KEYS[i]) or {})
end
return found
