-- Take the lease of a partition when nobody holds it. Safe to send twice with the same token.
-- KEYS[1] lease
-- ARGV[1] token, new for every term   ARGV[2] length in ms
-- Reply: 0 when it is ours, else the ms until the holder's lease runs out.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return math.max(redis.call('PTTL', KEYS[1]), 1) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 0
