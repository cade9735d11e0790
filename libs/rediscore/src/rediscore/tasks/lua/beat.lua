-- A worker says that it is alive, what it does, and what has ended since it said so last.
-- KEYS[1]  workers  hash  name -> what it says of itself (JSON)
-- KEYS[2]  alive    zset  name by the time until when it counts as alive (ms)
-- KEYS[3]  ended    zset  what has ended (JSON, no two alike) by the time of its end (ms)
-- ARGV[1]  name
-- ARGV[2]  what it says of itself; '' = it leaves
-- ARGV[3]  how long it counts as alive (ms)
-- ARGV[4]  how much of what has ended is kept
-- ARGV[5]  for how long (ms)
-- ARGV[6…] for each that has ended: time (ms), JSON
-- Reply    number of workers alive. Sent again it changes nothing.
local WORKERS, ALIVE, ENDED = KEYS[1], KEYS[2], KEYS[3]
local name, words, ttl, most, keep = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local gone = redis.call('ZRANGE', ALIVE, '-inf', now, 'BYSCORE')
if words == '' then gone[#gone + 1] = name end
if #gone > 0 then
  redis.call('ZREM', ALIVE, unpack(gone))
  redis.call('HDEL', WORKERS, unpack(gone))
end
if words ~= '' then
  redis.call('HSET', WORKERS, name, words)
  redis.call('ZADD', ALIVE, now + ttl, name)
  redis.call('PEXPIRE', WORKERS, ttl)
  redis.call('PEXPIRE', ALIVE, ttl)
end

if #ARGV > 5 then
  redis.call('ZADD', ENDED, unpack(ARGV, 6))
  redis.call('ZREMRANGEBYRANK', ENDED, 0, -most - 1)
end
redis.call('ZREMRANGEBYSCORE', ENDED, '-inf', now - keep)
redis.call('PEXPIRE', ENDED, keep)
return redis.call('ZCARD', ALIVE)
