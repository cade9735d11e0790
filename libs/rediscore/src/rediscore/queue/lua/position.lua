-- How many entries are taken before this one, as things stand.
-- KEYS     as in lib.lua
-- ARGV[5]  id
-- Reply    0 = next; nil when it is not ready
-- @include lib.lua
local entry = load(ARGV[5])
if not entry or entry.state ~= 'ready' then return nil end
return redis.call('ZRANK', READY, member(ARGV[5], entry))
