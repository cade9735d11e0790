-- Make the shadow the live generation, if it has counted exactly as far.
--
-- KEYS[1]  control, see apply.lua
-- ARGV[1]  the generation
-- ARGV[2]  the checkpoint at which it was looked at, "" for none
-- Reply    1 it is live (now, or since an earlier sending), 0 one of them has moved on
-- @include retire.lua
local control, generation = KEYS[1], ARGV[1]
local live = redis.call('HGET', control, 'live')
if live == generation then return 1 end
if redis.call('HGET', control, 'shadow') ~= generation then return 0 end
local function checkpoint(name) return redis.call('HGET', control, 'checkpoint:' .. name) or '' end
if checkpoint(generation) ~= ARGV[2] then return 0 end
if live then
  if checkpoint(live) ~= ARGV[2] then return 0 end
  retire(control, live)
end
redis.call('HSET', control, 'live', generation)
redis.call('HDEL', control, 'shadow', 'held')
return 1
