-- How much there is in each state, from one instant.
-- KEYS     as in lib.lua
-- Reply    {ready, delayed, leased, dead, age of the oldest ready entry (ms); -1 = none is ready}
-- @include lib.lua
local oldest = redis.call('ZRANGE', ARRIVALS, 0, 0, 'WITHSCORES')[2]
return {
  redis.call('ZCARD', READY),
  redis.call('ZCARD', DELAYED),
  redis.call('ZCARD', LEASED),
  redis.call('ZCARD', DEAD),
  oldest and math.max(NOW - tonumber(oldest), 0) or -1,
}
