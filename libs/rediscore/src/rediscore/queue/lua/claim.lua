-- Lease the first ready entry to one worker, with a fencing token that is larger than all before.
-- A claim id whose lease still holds gets the same answer again, so a lost reply costs nothing.
-- KEYS     as in lib.lua
-- ARGV[5]  claim id
-- ARGV[6]  owner
-- ARGV[7]  lease (ms)
-- Reply    {id, payload, class, token, end of lease (ms), attempt}
--          or, when nothing is ready, {ms until something falls due or a lease runs out; -1 = nothing will}
-- @include lib.lua
local claim, owner, lease = ARGV[5], ARGV[6], tonumber(ARGV[7])

local function answer(id, entry)
  local lease_until = tonumber(redis.call('ZSCORE', LEASED, id))
  return {id, entry.payload, entry.priority, entry.token, lease_until, entry.failures + 1}
end

settle(100)
local known = redis.call('HGET', CLAIMS, claim)
if known then return answer(known, load(known)) end

local first = redis.call('ZRANGE', READY, 0, 0)[1]
if not first then
  redis.call('DEL', MARKER)
  local soonest = -1
  for _, set in ipairs({DELAYED, LEASED}) do
    local head = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
    if head[2] then
      local left = math.max(tonumber(head[2]) - NOW, 0)
      if soonest < 0 or left < soonest then soonest = left end
    end
  end
  return {soonest}
end

local id = string.sub(first, 18) -- 16 digits and a colon come before it
local entry = load(id)
take_out(id, entry)
-- Server time keeps tokens growing when the counter is lost, the counter when the clock runs backwards.
local token = math.max(tonumber(redis.call('HGET', COUNTERS, 'token') or 0) + 1, NOW_US)
redis.call('HSET', COUNTERS, 'token', string.format('%.0f', token))
entry.state, entry.token, entry.claim, entry.owner = 'leased', token, claim, owner
redis.call('ZADD', LEASED, NOW + lease, id)
redis.call('HSET', CLAIMS, claim, id)
save(id, entry)
-- The marker wakes one who waits; it wakes the next one when there is more.
if redis.call('ZCARD', READY) > 0 then wake() else redis.call('DEL', MARKER) end
return answer(id, entry)
