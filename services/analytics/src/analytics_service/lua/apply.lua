-- Add a tally to the projections and move their checkpoint: both, or nothing when another was first.
--
-- KEYS[1] state, a hash: checkpoint "<seq>:<event id>" of the last counted event, unreadable, oldest
-- KEYS[2] popularity, a sorted set: pizza id by minus its count (ascending order is then: most ordered
--         first, equals by id)
-- KEYS[3] hours, a hash: "<day>:<hour>:<what>" -> count, money in cents
-- ARGV[1] the checkpoint that the tally starts after, "" for none
-- ARGV[2] the checkpoint after it
-- ARGV[3] 1: begin anew, forget what is there
-- ARGV[4] the oldest day that is kept, e.g. 2026-11-14
-- ARGV[5] milliseconds that the keys live without a change
-- ARGV[6] number of unreadable events
-- ARGV[7] n, then n pairs pizza id, count; then m, and m pairs field of hours, count
-- Reply   1 counted, 0 the checkpoint is another one
if (redis.call('HGET', KEYS[1], 'checkpoint') or '') ~= ARGV[1] then
  return 0
end
if ARGV[3] == '1' then
  redis.call('DEL', unpack(KEYS))
end
local at = 7
local function each_pair(apply)
  local n = tonumber(ARGV[at])
  for pair = 1, n do
    apply(ARGV[at + 2 * pair - 1], ARGV[at + 2 * pair])
  end
  at = at + 1 + 2 * n
end
each_pair(function(pizza, count) redis.call('ZINCRBY', KEYS[2], '-' .. count, pizza) end)
each_pair(function(field, count) redis.call('HINCRBY', KEYS[3], field, count) end)
redis.call('HINCRBY', KEYS[1], 'unreadable', ARGV[6])
redis.call('HSET', KEYS[1], 'checkpoint', ARGV[2])
-- Once a day: the fields begin with their day, so text order is time order.
if redis.call('HGET', KEYS[1], 'oldest') ~= ARGV[4] then
  for _, field in ipairs(redis.call('HKEYS', KEYS[3])) do
    if field < ARGV[4] then
      redis.call('HDEL', KEYS[3], field)
    end
  end
  redis.call('HSET', KEYS[1], 'oldest', ARGV[4])
end
for key = 1, 3 do
  redis.call('PEXPIRE', KEYS[key], ARGV[5])
end
return 1
