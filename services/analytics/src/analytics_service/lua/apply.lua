-- Add a tally to one generation of the projections and move its checkpoint: both, or nothing when somebody
-- else was first, when the generation is neither live nor the shadow that is being built, or when it is the
-- live one and stands still to be compared.
--
-- KEYS[1]  control, a hash: live and shadow (names of generations), checkpoint:<generation>, held (by the server's
--          time in ms, until when the live one stands still)
-- KEYS[2..] tables and sets of the generation
-- ARGV[1]  the generation
-- ARGV[2]  the checkpoint that the tally starts after, "<seq>:<event id>", "" for none
-- ARGV[3]  the checkpoint after it
-- ARGV[4]  milliseconds that KEYS[1] lives without a change
-- ARGV[5..] for each of KEYS[2..]: kind, when it runs out ("+<ms>" from now, "<ms>" at that time), n, and
--          n pairs. Kinds: "fields", a hash: field, how much more; "board", a sorted set: member, how much
--          more; "set", a sorted set: member, when it expires (ms) or "" to take it out
-- Reply    1 counted, 0 not
--
-- What comes to zero is taken out, so that equal counts are equal keys.
local control, generation = KEYS[1], ARGV[1]
if redis.call('HGET', control, 'live') == generation then
  local held = redis.call('HGET', control, 'held')
  if held then
    local time = redis.call('TIME')
    if time[1] * 1000 + math.floor(time[2] / 1000) < tonumber(held) then return 0 end
  end
elseif redis.call('HGET', control, 'shadow') ~= generation then
  return 0
end
if (redis.call('HGET', control, 'checkpoint:' .. generation) or '') ~= ARGV[2] then
  return 0
end

local add = {
  fields = function(key, field, amount)
    if redis.call('HINCRBY', key, field, amount) == 0 then redis.call('HDEL', key, field) end
  end,
  board = function(key, member, amount)
    if tonumber(redis.call('ZINCRBY', key, amount, member)) == 0 then redis.call('ZREM', key, member) end
  end,
  set = function(key, member, expiry)
    if expiry == '' then redis.call('ZREM', key, member) else redis.call('ZADD', key, expiry, member) end
  end,
}

local at = 5
for number = 2, #KEYS do
  local key, kind, expiry, pairs_left = KEYS[number], ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  at = at + 3
  for _ = 1, pairs_left do
    add[kind](key, ARGV[at], ARGV[at + 1])
    at = at + 2
  end
  if string.sub(expiry, 1, 1) == '+' then
    redis.call('PEXPIRE', key, string.sub(expiry, 2))
  else
    redis.call('PEXPIREAT', key, expiry)
  end
end
redis.call('HSET', control, 'checkpoint:' .. generation, ARGV[3])
redis.call('PEXPIRE', control, ARGV[4])
return 1
