-- How much there is in each state, from one instant.
-- KEYS     as in lib.lua
-- Reply    {ready, delayed, leased, dead, age of the oldest ready entry (ms); -1 = none is ready}
-- @include lib.lua

-- An entry's rank is at most its entry time, so no entry of a higher rank is older than the oldest so far.
-- Where more than 1000 better ones stand before it, the age is that of the oldest of these.
local oldest = math.huge
local first = redis.call('ZRANGE', READY, 0, 999, 'WITHSCORES')
for i = 1, #first, 100 do
  if tonumber(first[i + 1]) >= oldest then break end
  local ids = {}
  for j = i, math.min(i + 98, #first - 1), 2 do ids[#ids + 1] = id_of(first[j]) end
  read(ids)
  for _, id in ipairs(ids) do oldest = math.min(oldest, records[id].entered) end
end
return {
  redis.call('ZCARD', READY),
  redis.call('ZCARD', DELAYED),
  redis.call('ZCARD', LEASED),
  redis.call('ZCARD', DEAD),
  oldest < math.huge and math.max(NOW - oldest, 0) or -1,
}
