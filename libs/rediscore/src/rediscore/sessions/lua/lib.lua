-- What the scripts of this folder share. A session lives as long as the index of its user says: a sorted
-- set of digests of ids by the time (ms) when they end. The hash beside it holds the data, and in names
-- that no field can have: ':user', ':created' and ':end', the end of the absolute lifetime (ms).
-- The TTLs of the keys only clear up: they never end before the times in the index.
--
-- KEYS[1]  the index of the user
-- ARGV[1]  tests only: time in ms instead of the server's, else ''
-- ARGV[2]  idle time (ms)
local INDEX = KEYS[1]
local NOW
if ARGV[1] ~= '' then
  NOW = tonumber(ARGV[1])
else
  local time = redis.call('TIME')
  NOW = time[1] * 1000 + math.floor(time[2] / 1000)
end
local IDLE = tonumber(ARGV[2])

-- When it ends, or nil when it is dead.
local function living(digest)
  local ends = tonumber(redis.call('ZSCORE', INDEX, digest) or 0)
  if ends > NOW then return ends end
  return nil
end

local function trim()
  redis.call('ZREMRANGEBYSCORE', INDEX, '-inf', NOW)
end

-- Begin the idle time anew. A hundredth of it is not worth a write: a session that is loaded all the
-- time then costs reads only.
local function slide(session, digest, ends)
  if NOW + IDLE - ends <= IDLE / 100 then return end
  local fresh = math.min(NOW + IDLE, tonumber(redis.call('HGET', session, ':end')))
  if fresh > ends then
    redis.call('ZADD', INDEX, 'XX', fresh, digest)
    redis.call('PEXPIRE', session, fresh - NOW)
  end
end
