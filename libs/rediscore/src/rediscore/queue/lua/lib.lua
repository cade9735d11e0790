-- What all verbs of the queue share: its keys, its clock, and the moves between states.
-- Every verb is called with the same keys, all in one hash slot:
--   KEYS[1]  ready     zset  <sequence>:<id> by rank = entry time (ms) - head start of its class (ms)
--   KEYS[2]  arrivals  zset  id by entry time (ms), of what is ready
--   KEYS[3]  delayed   zset  id by the time when it becomes ready (ms)
--   KEYS[4]  leased    zset  id by the end of its lease (ms); nothing else says that an entry is worked on
--   KEYS[5]  dead      zset  id by the time of its last failure (ms)
--   KEYS[6]  done      zset  id by the time of its end (ms); remembered so that a repeated verb is recognised
--   KEYS[7]  entries   hash  id -> record (MessagePack); a record is in exactly one of the sets above
--   KEYS[8]  claims    hash  claim id -> id, while leased
--   KEYS[9]  counters  hash  sequence, token: last given; clock: latest entry time (ms)
--   KEYS[10] marker    zset  has a member when somebody who waits should look; holds no work
-- and begins with the same arguments:
--   ARGV[1]  now (ms), only from tests; '' = the server's clock
--   ARGV[2]  how long what is done is remembered (ms)
--   ARGV[3]  how long what is dead is kept (ms)
--   ARGV[4]  how many leases of one entry may run out before it is dead
local READY, ARRIVALS, DELAYED, LEASED, DEAD = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local DONE, ENTRIES, CLAIMS, COUNTERS, MARKER = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local MEMORY, DEAD_RETENTION, MAX_RECOVERIES = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local NOW, NOW_US
if ARGV[1] == '' then
  local time = redis.call('TIME')
  NOW_US = time[1] * 1000000 + time[2]
  NOW = math.floor(NOW_US / 1000)
else
  NOW = tonumber(ARGV[1])
  NOW_US = NOW * 1000
end

local function load(id)
  local packed = redis.call('HGET', ENTRIES, id)
  return packed and cmsgpack.unpack(packed)
end

local function save(id, entry)
  redis.call('HSET', ENTRIES, id, cmsgpack.pack(entry))
end

-- Equal ranks are taken in text order, so the sequence has a fixed width.
local function member(id, entry)
  return string.format('%016.0f:%s', entry.sequence, id)
end

local function wake()
  redis.call('ZADD', MARKER, 0, 'look')
end

local function to_ready(id, entry)
  entry.state = 'ready'
  redis.call('ZADD', READY, entry.rank, member(id, entry))
  redis.call('ZADD', ARRIVALS, entry.entered, id)
  save(id, entry)
  wake()
end

local function to_delayed(id, entry, due)
  entry.state = 'delayed'
  redis.call('ZADD', DELAYED, due, id)
  save(id, entry)
  -- Who waits sleeps until the earliest due time that it knows of: tell it of an earlier one.
  if redis.call('ZRANK', DELAYED, id) == 0 then wake() end
end

local function to_dead(id, entry, reason)
  entry.state, entry.reason = 'dead', reason
  redis.call('ZADD', DEAD, NOW, id)
  save(id, entry)
end

-- The record shrinks to what tells a repetition from a stranger.
local function to_done(id, trace)
  trace.state = 'done'
  redis.call('ZADD', DONE, NOW, id)
  save(id, trace)
end

-- Take an entry out of the set of its state; the caller puts it into another one.
local function take_out(id, entry)
  if entry.state == 'ready' then
    redis.call('ZREM', READY, member(id, entry))
    redis.call('ZREM', ARRIVALS, id)
  elseif entry.state == 'leased' then
    redis.call('ZREM', LEASED, id)
    redis.call('HDEL', CLAIMS, entry.claim)
  elseif entry.state == 'delayed' then
    redis.call('ZREM', DELAYED, id)
  elseif entry.state == 'dead' then
    redis.call('ZREM', DEAD, id)
  end
end

-- Whether `token` holds this entry now. A lease that ran out holds until somebody takes it over.
local function held(entry, token)
  return entry and entry.state == 'leased' and entry.token == token
end

-- End a lease without an end of the entry. `how` is remembered, so the same verb may come twice.
local function end_lease(id, entry, how)
  take_out(id, entry)
  entry.ended_token, entry.ended_how = entry.token, how
  entry.claim, entry.owner = nil, nil
end

-- Whether the same verb has ended the lease of `token` already.
local function repeated(entry, token, how)
  return entry and entry.ended_token == token and entry.ended_how == how
end

local function forget(set, keep, limit)
  local old = redis.call('ZRANGE', set, '-inf', NOW - keep, 'BYSCORE', 'LIMIT', 0, limit)
  if #old > 0 then
    redis.call('ZREM', set, unpack(old))
    redis.call('HDEL', ENTRIES, unpack(old))
  end
end

-- What time has brought about since the last verb: entries fall due, leases run out, the past is
-- forgotten. At most `limit` of each, so that a verb stays short. Returns the number of leases run out.
local function settle(limit)
  for _, id in ipairs(redis.call('ZRANGE', DELAYED, '-inf', NOW, 'BYSCORE', 'LIMIT', 0, limit)) do
    local entry = load(id)
    take_out(id, entry)
    to_ready(id, entry)
  end
  local expired = redis.call('ZRANGE', LEASED, '-inf', NOW, 'BYSCORE', 'LIMIT', 0, limit)
  for _, id in ipairs(expired) do
    local entry = load(id)
    end_lease(id, entry, 'expired')
    entry.recoveries = entry.recoveries + 1
    if entry.recoveries > MAX_RECOVERIES then
      to_dead(id, entry, 'lease ran out too often')
    else
      to_ready(id, entry)
    end
  end
  forget(DONE, MEMORY, limit)
  forget(DEAD, DEAD_RETENTION, limit)
  return #expired
end
