-- Say that a replica is there, and learn its place among all that are.
-- KEYS[1] replicas (sorted set: name -> until when, ms)
-- ARGV[1] name   ARGV[2] ms that it counts   ARGV[3] 1: it leaves
-- Reply: {number of replicas, how many of them come before this one by name}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[3] == '1' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2] * 2)
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local before = 0
local names = redis.call('ZRANGE', KEYS[1], 0, -1)
for _, name in ipairs(names) do
  if name < ARGV[1] then before = before + 1 end
end
return {#names, before}
