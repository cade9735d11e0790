-- How many entries are taken before this one, as things stand.
-- KEYS     as in lib.lua
-- ARGV[5]  id
-- Reply    0 = next; nil when it is not ready
-- @include lib.lua
read({ARGV[5]})
local entry = records[ARGV[5]]
if not entry or entry.state ~= 'ready' then return nil end
return redis.call('ZRANK', READY, member(ARGV[5], entry))
