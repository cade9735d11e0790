-- Begin to build a generation beside the live one, or find that it is under way or live already.
--
-- KEYS[1]  control, see apply.lua
-- ARGV[1]  the generation
-- ARGV[2]  milliseconds that KEYS[1] lives without a change
-- Reply    1
-- @include retire.lua
local control, generation = KEYS[1], ARGV[1]
local shadow = redis.call('HGET', control, 'shadow')
if shadow == generation or redis.call('HGET', control, 'live') == generation then return 1 end
if shadow then retire(control, shadow) end
redis.call('HSET', control, 'shadow', generation)
redis.call('PEXPIRE', control, ARGV[2])
return 1
