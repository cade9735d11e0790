-- Lease one of the probes of a circuit that is half-open, or whose pause is over.
--
-- KEYS, ARGV[1..3]  see lib.lua
-- ARGV[4]  token of the probe; the same one gets the same lease
-- ARGV[5]  newest version that the caller knows
-- ARGV[6]  how many may be in flight
-- ARGV[7]  how long a lease holds (ms)
-- Reply    {1 = leased, 0 = not, state, version, ms after which to ask again, openings}
-- @include lib.lua
local known = tonumber(ARGV[5])
if state == 'closed' and version > known then
  return {0, unpack(told())}
end
if state == 'open' and now < until_ms then
  return {0, unpack(told())}
end
if state == 'closed' then
  go('half_open', 0)  -- the caller opened it while nobody could be told, or all was forgotten
elseif state == 'open' then
  state = 'half_open'
  redis.call('HSET', KEYS[1], 'state', state)
end

local mine = 'p' .. ARGV[4]
local in_flight, first_end, leased = 0, nil, false
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 1) == 'p' then
    local lease_end = tonumber(fields[i + 1])
    if fields[i] == mine then
      leased = true
    elseif lease_end <= now then
      redis.call('HDEL', KEYS[1], fields[i])
    else
      in_flight = in_flight + 1
      first_end = math.min(first_end or lease_end, lease_end)
    end
  end
end
if not leased and in_flight >= tonumber(ARGV[6]) then
  return {0, unpack(told(first_end - now))}
end
if not leased then
  redis.call('HSET', KEYS[1], mine, integer(now + ARGV[7]))
end
redis.call('PEXPIRE', KEYS[1], ARGV[7] + ARGV[1])
return {1, unpack(told())}
