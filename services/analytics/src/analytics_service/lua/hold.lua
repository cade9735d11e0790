-- Let the live generation stand still for a moment, so that the shadow is compared with it and takes its place.
--
-- KEYS[1]  control, see apply.lua
-- ARGV[1]  the generation that is to take its place
-- ARGV[2]  for how long at most (ms)
-- Reply    1 it stands still, 0 there is no such shadow
local control = KEYS[1]
if redis.call('HGET', control, 'shadow') ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
redis.call('HSET', control, 'held', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2])
return 1
