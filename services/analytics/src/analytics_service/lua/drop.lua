-- Take a generation out of use that counts the history of another archive.
--
-- KEYS[1]  control, see apply.lua
-- ARGV[1]  the generation
-- ARGV[2]  its checkpoint that is not in the archive
-- Reply    1 it is out of use, 0 it has another checkpoint
-- @include retire.lua
local control, generation = KEYS[1], ARGV[1]
if redis.call('HGET', control, 'checkpoint:' .. generation) ~= ARGV[2] then return 0 end
for _, role in ipairs({'live', 'shadow'}) do
  if redis.call('HGET', control, role) == generation then redis.call('HDEL', control, role) end
end
retire(control, generation)
return 1
