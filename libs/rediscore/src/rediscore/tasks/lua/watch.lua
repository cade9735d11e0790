-- Who is alive, and what has ended lately; changes nothing.
-- KEYS     as in beat.lua
-- ARGV[1]  how much of what has ended, newest first
-- ARGV[2]  how many of the newest to leave out
-- Reply    {how much of what has ended is kept, {name, what it says of itself, …}, {what has ended, …}}
local WORKERS, ALIVE, ENDED = KEYS[1], KEYS[2], KEYS[3]
local most, skip = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local workers = {}
local after = '(' .. string.format('%.0f', now)
for _, name in ipairs(redis.call('ZRANGE', ALIVE, after, '+inf', 'BYSCORE')) do
  local words = redis.call('HGET', WORKERS, name)
  if words then workers[#workers + 1], workers[#workers + 2] = name, words end
end
local ended = most > 0 and redis.call('ZRANGE', ENDED, skip, skip + most - 1, 'REV') or {}
return {redis.call('ZCARD', ENDED), workers, ended}
