-- Take `cost` from every limit of one identity, or from none; or only look.
--
-- KEYS[1..n]  what each limit has counted
-- KEYS[n+1]   the request, so that it counts once however often it is sent
-- ARGV[1]     present moment in µs, '' = the server's (only tests say otherwise)
-- ARGV[2]     hit or peek
-- ARGV[3]     cost
-- ARGV[4]     how long a repeat of the request is recognised (ms)
-- ARGV[5..]   per limit: kind, capacity, length or interval (µs), slice (µs)
-- Reply       {1 = allowed or 0, then per limit: remaining, µs until all is back, µs until cost fits}
--
-- What is refused is not counted and keeps nothing alive. Every key written has a TTL that outlasts its
-- meaning by a second at most: it also ends what a clock that was set back would make last too long.
local SLACK = 1000

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local cost = tonumber(ARGV[3])

local function integer(number)
  return string.format('%.0f', number)
end

local function live(key, us)
  redis.call('PEXPIRE', key, integer(math.ceil(us / 1000) + SLACK))
end

-- Each: how it stands now as {remaining, reset, retry}, and a function that takes the cost.
local strategies = {}

-- The key holds the theoretical arrival time: when all that was used will have come back.
function strategies.gcra(key, capacity, interval)
  local used = math.max(0, (tonumber(redis.call('GET', key)) or 0) - now)
  local function standing(used)
    return {math.floor(capacity - used / interval), used, 0}
  end
  local stand = standing(used)
  stand[3] = math.max(0, used + (cost - capacity) * interval)
  return stand, function()
    used = used + cost * interval
    redis.call('SET', key, integer(now + used), 'PX', integer(math.ceil(used / 1000) + SLACK))
    return standing(used)
  end
end

-- A sorted set by time. A member is "all units ever logged:units of this call", so the units in the
-- window are the difference of its ends, and the call that must leave first is found by halving.
function strategies.log(key, capacity, per)
  local function entry(rank)
    local found = redis.call('ZRANGE', key, rank, rank, 'WITHSCORES')
    if not found[1] then return 0, 0, now end
    return tonumber(string.sub(found[1], 1, 16)), tonumber(string.sub(found[1], 18)), tonumber(found[2])
  end
  local newest, _, last = entry(-1)
  local at = math.max(now, last)
  local gone = redis.call('ZCOUNT', key, '-inf', integer(at - per))
  local count = redis.call('ZCARD', key)
  local before = newest
  if gone < count then
    local logged, units = entry(gone)
    before = logged - units
  end
  local used = newest - before
  local stand = {capacity - used, used > 0 and last + per - at or 0, 0}
  local excess = used + cost - capacity
  if excess > 0 then
    local low, high = gone, count - 1
    while low < high do
      local middle = math.floor((low + high) / 2)
      if entry(middle) - before >= excess then high = middle else low = middle + 1 end
    end
    local _, _, leaves = entry(low)
    stand[3] = leaves + per - at
  end
  return stand, function()
    redis.call('ZREMRANGEBYSCORE', key, '-inf', integer(at - per))
    local member = string.format('%016.0f:%.0f', newest + cost, cost)
    redis.call('ZADD', key, integer(at), member)
    live(key, per)
    return {capacity - used - cost, per, 0}
  end
end

-- A hash: number of the slice = units in it. A slice counts until it has left the window altogether.
function strategies.window(key, capacity, per, width)
  local slices = per / width
  local current = math.floor(now / width)
  local counts, used = {}, 0
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local slice = tonumber(fields[i])
    counts[slice] = tonumber(fields[i + 1])
    current = math.max(current, slice)
  end
  local at = math.max(now, current * width)
  local gone, newest = {}, nil
  for slice, units in pairs(counts) do
    if slice < current - slices then
      gone[#gone + 1] = integer(slice)
    else
      used = used + units
      newest = math.max(newest or slice, slice)
    end
  end
  local function leaves(slice)
    return (slice + 1) * width + per - at
  end
  local stand = {capacity - used, newest and leaves(newest) or 0, 0}
  local excess = used + cost - capacity
  if excess > 0 then
    for slice = current - slices, current do
      excess = excess - (counts[slice] or 0)
      if excess <= 0 then
        stand[3] = leaves(slice)
        break
      end
    end
  end
  return stand, function()
    if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
    redis.call('HINCRBY', key, integer(current), cost)
    live(key, leaves(current))
    return {capacity - used - cost, leaves(current), 0}
  end
end

local limits = #KEYS - 1
local request = KEYS[limits + 1]
local hit = ARGV[2] == 'hit'
local stands, takes, allowed = {}, {}, true
for i = 1, limits do
  local base = 4 * i
  stands[i], takes[i] = strategies[ARGV[base + 1]](
    KEYS[i], tonumber(ARGV[base + 2]), tonumber(ARGV[base + 3]), tonumber(ARGV[base + 4]))
  allowed = allowed and stands[i][3] == 0
end
if hit and allowed then
  if redis.call('SET', request, '', 'NX', 'PX', ARGV[4]) then
    for i = 1, limits do stands[i] = takes[i]() end
  end
elseif hit and redis.call('EXISTS', request) == 1 then
  allowed = true  -- it was, and has used what is missing now
  for i = 1, limits do stands[i][3] = 0 end
end

local reply = {allowed and 1 or 0}
for i = 1, limits do
  reply[#reply + 1] = math.max(0, stands[i][1])
  reply[#reply + 1] = math.ceil(stands[i][2])
  reply[#reply + 1] = math.ceil(stands[i][3])
end
return reply
