-- Prolong a lease: it ends a full lease from now.
-- KEYS     as in lib.lua
-- ARGV[5]  id
-- ARGV[6]  token
-- ARGV[7]  lease (ms)
-- Reply    the new end of the lease (ms), 0 = the token holds nothing
-- @include lib.lua
local id, token, lease = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])

if not held(load(id), token) then return 0 end
redis.call('ZADD', LEASED, NOW + lease, id)
return NOW + lease
