-- A leased probe has ended: give the lease back; the last success that was needed closes the circuit.
--
-- KEYS, ARGV[1..3]  see lib.lua
-- ARGV[4]  token of the probe; one that is not leased (any more) changes nothing
-- ARGV[5]  1 = it succeeded, 0 = it says nothing
-- ARGV[6]  how many must succeed
-- Reply    {state, version, ms until something may change, openings}
-- @include lib.lua
local probe = 'p' .. ARGV[4]
if redis.call('HDEL', KEYS[1], probe) == 1 and ARGV[5] == '1' then
  if succeeded + 1 >= tonumber(ARGV[6]) then
    openings = 0
    go('closed', 0)
  else
    redis.call('HINCRBY', KEYS[1], 'succeeded', 1)
  end
end
return told()
