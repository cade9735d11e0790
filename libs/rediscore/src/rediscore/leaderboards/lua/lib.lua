-- What the scripts of this folder share. A sorted set has equal scores in the order of their members, so
-- a member goes in as '<arrival> <member>', where arrival is a padded number that makes who reached the
-- score first come first. A hash knows the arrival of each member.
--
-- KEYS[1]  order: sorted set of '<arrival> <member>' by score
-- KEYS[2]  arrivals: hash of member (behind a colon) → arrival, and the last number given in 'last'
-- KEYS[3]  distinct: sorted set of the scores that somebody has, by themselves (for dense ranks)
-- KEYS[4]  holders: hash of score → how many have it (for dense ranks)
-- ARGV[1]  'higher' or 'lower': which score is better
-- ARGV[2]  'first', 'shared' or 'dense': ranks of equal scores
local ORDER, ARRIVALS, DISTINCT, HOLDERS = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local HIGHER, DENSE = ARGV[1] == 'higher', ARGV[2] == 'dense'
local LIMIT = 9007199254740991

-- The member's entry in ORDER and its score as text, or nil.
local function find(member)
  local field = ':' .. member
  local arrival = redis.call('HGET', ARRIVALS, field)
  if not arrival then return nil end
  local entry = arrival .. ' ' .. member
  return entry, redis.call('ZSCORE', ORDER, entry)
end

local function let_go(score)
  if DENSE and redis.call('HINCRBY', HOLDERS, score, -1) <= 0 then
    redis.call('HDEL', HOLDERS, score)
    redis.call('ZREM', DISTINCT, score)
  end
end

local function take(score)
  if DENSE then
    redis.call('HINCRBY', HOLDERS, score, 1)
    redis.call('ZADD', DISTINCT, score, score)
  end
end

-- Give the member this score; it arrives now at its place among equals. Returns its entry.
local function place(member, score)
  local before, old = find(member)
  if before and tonumber(old) == tonumber(score) then return before end
  if before then
    redis.call('ZREM', ORDER, before)
    let_go(old)
  end
  local number = redis.call('HINCRBY', ARRIVALS, 'last', 1)
  -- The better end of the set is read first: from above for 'higher', so there later must be smaller.
  local arrival = string.format('%016.0f', HIGHER and LIMIT - number or number)
  local entry = arrival .. ' ' .. member
  local field = ':' .. member
  redis.call('HSET', ARRIVALS, field, arrival)
  redis.call('ZADD', ORDER, score, entry)
  take(redis.call('ZSCORE', ORDER, entry))
  return entry
end

-- How many are better than the entry at `position` (from 0) with this score, as ranks count them.
local function better(position, score)
  if ARGV[2] == 'first' then return position end
  local set = DENSE and DISTINCT or ORDER
  local beyond = '(' .. score
  if HIGHER then return redis.call('ZCOUNT', set, beyond, '+inf') end
  return redis.call('ZCOUNT', set, '-inf', beyond)
end

local function position_of(entry)
  return redis.call(HIGHER and 'ZREVRANK' or 'ZRANK', ORDER, entry)
end
