-- Put an entry into the queue, once: an id that the queue holds or remembers is left as it is.
-- KEYS     as in lib.lua
-- ARGV[5]  id
-- ARGV[6]  payload
-- ARGV[7]  name of its class
-- ARGV[8]  head start of its class (ms)
-- ARGV[9]  delay (ms), 0 = none
-- ARGV[10] capacity, -1 = no bound
-- Reply    1 added, 0 known, -1 full
-- @include lib.lua
local id, payload, priority = ARGV[5], ARGV[6], ARGV[7]
local head_start, delay, capacity = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])

settle(100)
if redis.call('HEXISTS', ENTRIES, id) == 1 then return 0 end
local held_now = redis.call('ZCARD', READY) + redis.call('ZCARD', DELAYED) + redis.call('ZCARD', LEASED)
if capacity >= 0 and held_now >= capacity then return -1 end

-- Entry times never run backwards, even if the clock does: first come stays first served.
local clock = math.max(NOW, tonumber(redis.call('HGET', COUNTERS, 'clock') or 0))
redis.call('HSET', COUNTERS, 'clock', string.format('%.0f', clock))
local entered = clock + delay
local entry = {
  payload = payload,
  priority = priority,
  sequence = redis.call('HINCRBY', COUNTERS, 'sequence', 1),
  entered = entered,
  rank = entered - head_start,
  failures = 0,
  recoveries = 0,
}
if delay > 0 then
  to_delayed(id, entry, NOW + delay)
else
  to_ready(id, entry)
end
return 1
