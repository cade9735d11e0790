-- Extend the lease of a partition. A lease that is gone is not revived: somebody may have held it since.
-- KEYS[1] lease
-- ARGV[1] token   ARGV[2] length in ms
-- Reply: 1, or 0 when it is not ours.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
