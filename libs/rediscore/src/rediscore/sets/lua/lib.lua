-- What the scripts of this folder share. A set is a sorted set of members by the time (ms) when they
-- expire; who has expired does not count, whether it is still stored or not.
--
-- KEYS     the sets, in the order that each script says
-- ARGV[1]  tests only: time in ms instead of the server's, else ''
local NOW
if ARGV[1] ~= '' then
  NOW = tonumber(ARGV[1])
else
  local time = redis.call('TIME')
  NOW = time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Numbers and ZRANGEBYSCORE: only later than now.
local ALIVE = string.format('(%.0f', NOW)

-- Drop some of what has expired, and let the key live as long as its last member.
local function settle(key)
  local dead = redis.call('ZRANGEBYSCORE', key, '-inf', NOW, 'LIMIT', 0, 1000)
  if #dead > 0 then redis.call('ZREM', key, unpack(dead)) end
  local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
  if last[2] then redis.call('PEXPIRE', key, math.max(1, tonumber(last[2]) - NOW)) end
end

-- Up to `limit` live members from (expiry, member) on, where '' is the beginning: in the order in which
-- they expire, so who is renewed meanwhile comes again later rather than never.
-- Returns {member, expiry, ...} and the expiry and member to go on after, '' and '' at the end.
local function page(key, expiry, member, limit)
  local first
  if expiry ~= '' and redis.call('ZSCORE', key, member) == expiry then
    first = redis.call('ZRANK', key, member) + 1
  elseif expiry ~= '' then
    local before = '(' .. expiry
    first = redis.call('ZCOUNT', key, '-inf', before)
  else
    first = 0
  end
  first = math.max(first, redis.call('ZCOUNT', key, '-inf', NOW))
  local rows = redis.call('ZRANGE', key, first, first + limit - 1, 'WITHSCORES')
  if #rows < 2 * limit then return rows, '', '' end
  return rows, rows[#rows], rows[#rows - 1]
end
