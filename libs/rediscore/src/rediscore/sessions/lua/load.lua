-- Read a session and begin its idle time anew.
-- KEYS[1..] index as in lib.lua; [2] session
-- ARGV[3]  digest of its id
-- Reply    names and values in turn, or {} when it is dead
-- @include lib.lua
local ends = living(ARGV[3])
if not ends then return {} end
local stored = redis.call('HGETALL', KEYS[2])
if #stored > 0 then slide(KEYS[2], ARGV[3], ends) end
return stored
