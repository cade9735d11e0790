-- How many members two sets have, and how many both have; the first is gone through in parts.
-- KEYS     one set, other set
-- ARGV[2], ARGV[3] where to go on: expiry and member, '' and '' = at the beginning
-- ARGV[4]  how many members of the first set to look at (1 to 1000)
-- Reply    {of them how many live, how many the other set has as well, how many live in the other set,
--          expiry and member to go on after, '' and '' = that was all}
-- @include lib.lua
local rows, expiry, member = page(KEYS[1], ARGV[2], ARGV[3], tonumber(ARGV[4]))
local members, both = {}, 0
for i = 1, #rows, 2 do table.insert(members, rows[i]) end
if #members > 0 then
  for _, other in ipairs(redis.call('ZMSCORE', KEYS[2], unpack(members))) do
    if other and tonumber(other) > NOW then both = both + 1 end
  end
end
return {#members, both, redis.call('ZCOUNT', KEYS[2], ALIVE, '+inf'), expiry, member}
