-- Put entries into the queue, each once: an id that the queue holds or remembers is left as it is.
-- KEYS     as in lib.lua
-- KEYS[9]  unique  string  id of the entry that stands for all under this key; only with one entry, or not at all
-- ARGV[5]  capacity, -1 = no bound
-- ARGV[6]  how long from now on an entry stands for others under the unique key (ms)
-- ARGV[7…] for each entry: id, payload, name of its class, head start of its class (ms), delay (ms; 0 = none)
-- Reply    for each: 1 added, 0 known, -1 full; the id of the one that stands for it, if that is another
-- @include lib.lua
local capacity = tonumber(ARGV[5])
local ids, answers = {}, {}
local holder = KEYS[9] and redis.call('GET', KEYS[9])
if holder and holder ~= ARGV[7] then return {holder} end
for i = 7, #ARGV, 5 do ids[#ids + 1] = ARGV[i] end
read(ids)

local room = math.huge
if capacity >= 0 then
  room = capacity - redis.call('ZCARD', READY) - redis.call('ZCARD', DELAYED) - redis.call('ZCARD', LEASED)
end

-- Forgetting is the claims' work, and nobody may claim.
local function outdated(id, entry)
  return entry.state == 'done' and tonumber(redis.call('ZSCORE', DONE, id)) <= NOW - MEMORY
end

for i, id in ipairs(ids) do
  local payload, priority, head_start, delay = unpack(ARGV, 5 * i + 3, 5 * i + 6)
  local known = records[id]
  if known and not outdated(id, known) then
    answers[i] = 0
  elseif room <= 0 then
    answers[i] = -1
  else
    if known then redis.call('ZREM', DONE, id) end
    local entry = {payload = payload, priority = priority, failures = 0, recoveries = 0}
    enter(entry, tonumber(delay), tonumber(head_start))
    if tonumber(delay) > 0 then
      to_delayed(id, entry, delay)
    else
      to_ready(id, entry)
    end
    room = room - 1
    answers[i] = 1
  end
end
commit()
if KEYS[9] and answers[1] >= 0 then redis.call('SET', KEYS[9], ids[1], 'NX', 'PX', ARGV[6]) end
return answers
