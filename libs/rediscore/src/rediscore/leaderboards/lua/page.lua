-- A part of the board, best first: around a member, or from a place on. Ranks and scores of one instant.
-- KEYS     as in lib.lua
-- ARGV[3]  'from' or 'around'
-- ARGV[4]  'from': places to leave out; 'around': member
-- ARGV[5]  'from': how many; 'around': how many on each side
-- Reply    {place of the first entry (from 0), how many are better than it, entry, score as text, ...}
-- @include lib.lua
local first, last
local size = tonumber(ARGV[5])
if ARGV[3] == 'around' then
  local entry = find(ARGV[4])
  if not entry then return {0, 0} end
  local position = position_of(entry)
  first = math.max(0, position - size)
  last = position + size
else
  first = tonumber(ARGV[4])
  last = first + size - 1
end
local rows = redis.call(HIGHER and 'ZREVRANGE' or 'ZRANGE', ORDER, first, last, 'WITHSCORES')
local reply = {first, rows[1] and better(first, rows[2]) or 0}
for i = 1, #rows do reply[i + 2] = rows[i] end
return reply
