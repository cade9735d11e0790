-- What all verbs of the queue share: its keys, its clock, and the moves between states.
-- Every verb is called with the same keys, all in one hash slot:
--   KEYS[1]  ready     zset  <sequence>:<id> by rank = entry time (ms) - head start of its class (ms)
--   KEYS[2]  delayed   zset  id by the time when it becomes ready (ms)
--   KEYS[3]  leased    zset  id by the end of its lease (ms); nothing else says that an entry is worked on
--   KEYS[4]  dead      zset  id by the time of its last failure (ms)
--   KEYS[5]  done      zset  id by the time of its end (ms); remembered so that a repeated verb is recognised
--   KEYS[6]  entries   hash  id -> record (MessagePack); a record is in exactly one of the sets above.
--                            The field without a name holds the queue's own record:
--                            sequence, token: last given; clock: latest entry time (ms);
--                            waiting: until when somebody may sleep at the marker (ms)
--   KEYS[7]  claims    hash  claim id -> its ids (MessagePack), until the first of them ends
--   KEYS[8]  marker    zset  has a member when somebody who waits should look; holds no work
-- and begins with the same arguments:
--   ARGV[1]  now (ms), only from tests; '' = the server's clock
--   ARGV[2]  how long what is done is remembered (ms)
--   ARGV[3]  how long what is dead is kept (ms)
--   ARGV[4]  how many leases of one entry may run out before it is dead
-- Arguments about several entries come in pairs or triples at the end, at most 1000 entries.
-- Behind the keys above stand those of the results that the call brings, one for each, in their order.
local READY, DELAYED, LEASED, DEAD, DONE = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local ENTRIES, CLAIMS, MARKER = KEYS[6], KEYS[7], KEYS[8]
local MEMORY, DEAD_RETENTION, MAX_RECOVERIES = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local SETS = {ready = READY, delayed = DELAYED, leased = LEASED, dead = DEAD, done = DONE}
local QUEUE = ''

local NOW, NOW_US
if ARGV[1] == '' then
  local time = redis.call('TIME')
  NOW_US = time[1] * 1000000 + time[2]
  NOW = math.floor(NOW_US / 1000)
else
  NOW = tonumber(ARGV[1])
  NOW_US = NOW * 1000
end

-- Records read so far, and those to be written at the end: one command each way for many entries.
local records, changed = {}, {}

-- Read the records of these ids, and the queue's own.
local function read(ids)
  local fields = {QUEUE}
  for _, id in ipairs(ids) do
    if records[id] == nil then fields[#fields + 1] = id end
  end
  if #fields == 1 and records[QUEUE] then return end
  for i, packed in ipairs(redis.call('HMGET', ENTRIES, unpack(fields))) do
    if records[fields[i]] == nil then records[fields[i]] = packed and cmsgpack.unpack(packed) end
  end
  -- Nothing is known of a queue without a record, so somebody may be waiting.
  records[QUEUE] = records[QUEUE] or {sequence = 0, token = 0, clock = 0, waiting = NOW + 1}
end

local function save(id, record)
  records[id] = record
  changed[id] = true
end

local function write(command, key, arguments)
  for first = 1, #arguments, 1000 do
    redis.call(command, key, unpack(arguments, first, math.min(first + 999, #arguments)))
  end
end

-- Moves between the sets are collected and made in the end, a command per set.
local added, removed, ended_claims = {}, {}, {}
local to_wake, delayed_now = false, {}

local function put(set, score, member)
  local into = added[set] or {}
  added[set] = into
  into[#into + 1], into[#into + 2] = string.format('%.0f', score), member
end

local function drop(set, member)
  local from = removed[set] or {}
  removed[set] = from
  from[#from + 1] = member
end

local function commit()
  write('HDEL', CLAIMS, ended_claims)
  for set, members in pairs(removed) do write('ZREM', set, members) end
  for set, members in pairs(added) do write('ZADD', set, members) end
  added, removed, ended_claims = {}, {}, {}
  local fields = {}
  for id in pairs(changed) do
    fields[#fields + 1], fields[#fields + 2] = id, cmsgpack.pack(records[id])
  end
  changed = {}
  write('HSET', ENTRIES, fields)
  if records[QUEUE] and records[QUEUE].waiting > NOW then
    -- Who waits sleeps until the earliest due time that it knows of: tell it of an earlier one.
    if next(delayed_now) and delayed_now[redis.call('ZRANGE', DELAYED, 0, 0)[1]] then to_wake = true end
    if to_wake then redis.call('ZADD', MARKER, 0, 'look') end
  end
  to_wake, delayed_now = false, {}
end

-- Equal ranks are taken in text order, so the sequence has a fixed width.
local function member(id, entry)
  return string.format('%016.0f:%s', entry.sequence, id)
end

local function id_of(member)
  return string.sub(member, 18) -- 16 digits and a colon come before it
end

local function to_ready(id, entry)
  entry.state = 'ready'
  put(READY, entry.rank, member(id, entry))
  save(id, entry)
  to_wake = true
end

-- Rounded up, while NOW is rounded down: it becomes ready in the millisecond after its time, never in that before.
local function to_delayed(id, entry, delay)
  entry.state = 'delayed'
  put(DELAYED, math.ceil(NOW_US / 1000) + delay, id)
  save(id, entry)
  delayed_now[id] = true
end

local function to_dead(id, entry, reason)
  entry.state, entry.reason = 'dead', reason
  put(DEAD, NOW, id)
  save(id, entry)
end

-- The record shrinks to what tells a repetition from a stranger.
local function to_done(id, trace)
  trace.state = 'done'
  put(DONE, NOW, id)
  save(id, trace)
end

-- Take an entry out of the set of its state; the caller puts it into another one.
local function take_out(id, entry)
  drop(SETS[entry.state], entry.state == 'ready' and member(id, entry) or id)
  -- Whoever ends one entry of a claim has its answer, and the rest of it runs out at the same time.
  if entry.claim and entry.claim ~= ended_claims[#ended_claims] then
    ended_claims[#ended_claims + 1] = entry.claim
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

-- Entry times never run backwards, even if the clock does: first come stays first served.
local function enter(entry, delay, head_start)
  local queue = records[QUEUE]
  queue.clock = math.max(NOW, queue.clock)
  queue.sequence = queue.sequence + 1
  save(QUEUE, queue)
  entry.sequence = queue.sequence
  entry.entered = queue.clock + delay
  entry.rank = entry.entered - head_start
end

local function forget(set, keep, limit)
  local old = redis.call('ZRANGE', set, '-inf', NOW - keep, 'BYSCORE', 'LIMIT', 0, limit)
  if #old > 0 then
    redis.call('ZREM', set, unpack(old))
    redis.call('HDEL', ENTRIES, unpack(old))
    for _, id in ipairs(old) do records[id] = nil end
  end
end

-- The verbs that end or prolong a lease take id, token and what else belongs to it (`width` arguments for each
-- entry) from ARGV[first] on, and answer for each.
local function each_lease(first, width, act)
  local ids, answers = {}, {}
  for i = first, #ARGV, width do ids[#ids + 1] = ARGV[i] end
  read(ids)
  for i, id in ipairs(ids) do
    local at = first + width * (i - 1)
    answers[i] = act(id, records[id] or nil, tonumber(ARGV[at + 1]), ARGV[at + 2])
  end
  return answers
end

-- Keep what came of an entry, and tell those who wait for it.
local function keep_result(key, id, result, ttl, channel)
  redis.call('SET', key, result, 'PX', ttl)
  redis.call('PUBLISH', channel, id)
end

-- Ends of work: ARGV[first] how long results are kept (ms), then the channel that tells of them, then for each entry
-- id, token, result ('' = none). 1 done (now or before), 0 = the token holds nothing, and its result is refused.
local function acknowledge(first)
  local ttl, channel, next_key = ARGV[first], ARGV[first + 1], 9
  return each_lease(first + 2, 3, function(id, entry, token, result)
    local key = nil
    if result ~= '' then key, next_key = KEYS[next_key], next_key + 1 end
    if entry and entry.state == 'done' and entry.token == token then return 1 end
    if not held(entry, token) then return 0 end
    take_out(id, entry)
    to_done(id, {token = token})
    if key then keep_result(key, id, result, ttl, channel) end
    return 1
  end)
end

-- What time has brought about since the last time: entries fall due, leases run out, the past is
-- forgotten. At most `limit` of each, so that a verb stays short. Returns the number of leases run out.
local function settle(limit)
  forget(DONE, MEMORY, limit)
  forget(DEAD, DEAD_RETENTION, limit)
  local due = redis.call('ZRANGE', DELAYED, '-inf', NOW, 'BYSCORE', 'LIMIT', 0, limit)
  local expired = redis.call('ZRANGE', LEASED, '-inf', NOW, 'BYSCORE', 'LIMIT', 0, limit)
  if #due + #expired == 0 then return 0 end
  read(due)
  read(expired)
  for _, id in ipairs(due) do
    take_out(id, records[id])
    to_ready(id, records[id])
  end
  for _, id in ipairs(expired) do
    local entry = records[id]
    end_lease(id, entry, 'expired')
    entry.recoveries = entry.recoveries + 1
    if entry.recoveries > MAX_RECOVERIES then
      to_dead(id, entry, 'lease ran out too often')
    else
      to_ready(id, entry)
    end
  end
  commit()
  return #expired
end
