-- Included by every script of a shared breaker: what all processes know of one circuit.
--
-- KEYS[1]  hash: state (open, half_open, closed), version, until (ms), openings (in a row),
--          succeeded (probes since half open), and p<token> = end of the lease (ms) per probe in flight.
--          It has a TTL: what is forgotten counts as closed, at version 0.
-- ARGV[1]  how long it is remembered (ms) after it said something new
-- ARGV[2]  channel on which changes are told, '' = tell nobody
-- ARGV[3]  name of the breaker, for the channel
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local state, version, until_ms, openings, succeeded = unpack(
  redis.call('HMGET', KEYS[1], 'state', 'version', 'until', 'openings', 'succeeded'))
state = state or 'closed'
version, until_ms = tonumber(version or 0), tonumber(until_ms or 0)
openings, succeeded = tonumber(openings or 0), tonumber(succeeded or 0)

local function integer(number)
  return string.format('%.0f', number)
end

-- What the caller learns: state, version, ms until something may change, openings.
local function told(wait)
  return {state, integer(version), integer(math.max(0, wait or until_ms - now)), openings}
end

-- Go to another state. Versions only grow, also over a wipe: then the clock stands in for the last one.
local function go(to, pause)
  state, until_ms, succeeded = to, now + pause, 0
  version = math.max(version + 1, time[1] * 1000000 + time[2])
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'state', state, 'version', integer(version), 'until', integer(until_ms),
    'openings', openings)
  redis.call('PEXPIRE', KEYS[1], pause + ARGV[1])
  if ARGV[2] ~= '' then
    redis.call('PUBLISH', ARGV[2], table.concat({ARGV[3], unpack(told())}, ' '))
  end
end
