-- Give a lease back without a value, and wake who waits for it.
-- KEYS[1]  entry
-- ARGV[1]  token, 24 bytes
-- ARGV[2]  ms for which nobody shall try again while there is a value to serve
-- ARGV[3]  channel of those who wait
-- Reply    1 given back, 0 it was not held
-- @include lib.lua
local entry = redis.call('GET', KEYS[1])
if not entry or holder(entry) ~= ARGV[1] then return 0 end
if is_lease(entry) then
  redis.call('DEL', KEYS[1])
else
  local pause = tonumber(ARGV[2])
  occupy(KEYS[1], pause > 0 and now_ms() + pause or 0, string.rep('\0', 24))
end
redis.call('PUBLISH', ARGV[3], 0)
return 1
