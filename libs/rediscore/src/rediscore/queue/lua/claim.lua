-- Lease the first ready entries to one worker, one alone if a lease on it ran out before, each with a fencing token that is larger than all before;
-- acknowledge what it has done meanwhile in the same step. A claim id whose leases still hold gets the same
-- answer again, so a lost reply costs nothing.
-- KEYS     as in lib.lua
-- ARGV[5]  claim id
-- ARGV[6]  owner
-- ARGV[7]  lease (ms)
-- ARGV[8]  how many at most
-- ARGV[9]  how long the worker will sleep at the marker if there is nothing (ms); 0 = it will not
-- ARGV[10…] of entries that are done, as `acknowledge` takes them
-- Reply    {{1 done (now or before) or 0 the token holds nothing, for each acknowledged},
--           {ms until something falls due or a lease runs out; -1 = nothing will, when nothing is ready},
--           id, payload, class, token, end of lease (ms), attempt, of each entry in turn}
-- @include lib.lua
local claim, owner, lease = ARGV[5], ARGV[6], tonumber(ARGV[7])
local most, sleep = tonumber(ARGV[8]), tonumber(ARGV[9])

local acked = acknowledge(10)
if #acked > 0 then commit() end
settle(100)

local known = redis.call('HGET', CLAIMS, claim)
if known then
  local reply, ids = {acked, {}}, cmsgpack.unpack(known)
  read(ids)
  for _, id in ipairs(ids) do
    local entry = records[id]
    local lease_until = tonumber(redis.call('ZSCORE', LEASED, id))
    for _, value in ipairs({id, entry.payload, entry.priority, entry.token, lease_until, entry.failures + 1}) do
      reply[#reply + 1] = value
    end
  end
  return reply
end

local first = redis.call('ZRANGE', READY, 0, most - 1)
if #first == 0 then
  redis.call('DEL', MARKER)
  local soonest = -1
  for _, set in ipairs({DELAYED, LEASED}) do
    local head = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
    if head[2] then
      local left = math.max(tonumber(head[2]) - NOW, 0)
      if soonest < 0 or left < soonest then soonest = left end
    end
  end
  if sleep > 0 then
    read({})
    records[QUEUE].waiting = NOW + sleep
    save(QUEUE, records[QUEUE])
    commit()
  end
  return {acked, {soonest}}
end

local candidates, ids, reply = {}, {}, {acked, {}}
for i, name in ipairs(first) do candidates[i] = id_of(name) end
read(candidates)
-- Whose lease ran out may have killed its worker: it comes alone, so that no others go down with it again.
local function suspect(id)
  return records[id].recoveries > 0
end
for i, id in ipairs(candidates) do
  if i > 1 and (suspect(id) or suspect(ids[1])) then break end
  ids[i] = id
end
redis.call('ZREMRANGEBYRANK', READY, 0, #ids - 1)
local queue = records[QUEUE]
for _, id in ipairs(ids) do
  local entry = records[id]
  -- Server time keeps tokens growing when the counter is lost, the counter when the clock runs backwards.
  queue.token = math.max(queue.token + 1, NOW_US)
  entry.state, entry.token, entry.claim, entry.owner = 'leased', queue.token, claim, owner
  put(LEASED, NOW + lease, id)
  save(id, entry)
  for _, value in ipairs({id, entry.payload, entry.priority, entry.token, NOW + lease, entry.failures + 1}) do
    reply[#reply + 1] = value
  end
end
save(QUEUE, queue)
redis.call('HSET', CLAIMS, claim, cmsgpack.pack(ids))
commit()
-- The marker wakes one who waits; it wakes the next one when there is more.
if queue.waiting > NOW then
  if redis.call('EXISTS', READY) == 1 then
    redis.call('ZADD', MARKER, 0, 'look')
  else
    redis.call('DEL', MARKER)
  end
end
return reply
