-- Hold a lease for longer.
-- KEYS[1]  entry
-- ARGV[1]  token, 24 bytes
-- ARGV[2]  lease (ms)
-- Reply    1 held, 0 voided or lost
-- @include lib.lua
local entry = redis.call('GET', KEYS[1])
if not entry or holder(entry) ~= ARGV[1] then return 0 end
if is_lease(entry) then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
else
  occupy(KEYS[1], now_ms() + tonumber(ARGV[2]), ARGV[1])
end
return 1
