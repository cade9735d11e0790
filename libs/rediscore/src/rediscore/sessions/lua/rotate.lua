-- Give a session another id; the old one is dead at once. The new id makes it safe to send twice.
-- KEYS[1..] index as in lib.lua; [2] session under the old id; [3] the same under the new one
-- ARGV[3]  digest of the old id
-- ARGV[4]  digest of the new id
-- Reply    1, or 0 when it is dead
-- @include lib.lua
local before, after = ARGV[3], ARGV[4]
if living(after) then return 1 end -- done already
local ends = living(before)
if not ends or redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
redis.call('RENAME', KEYS[2], KEYS[3]) -- with its TTL
redis.call('ZADD', INDEX, ends, after)
redis.call('ZREM', INDEX, before) -- later, or an index of one would go and come back without its TTL
slide(KEYS[3], after, ends)
return 1
