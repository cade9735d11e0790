-- Give the lease of a partition back.
-- KEYS[1] lease
-- ARGV[1] token
-- Reply: 1, or 0 when it was not ours.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
