-- When members expire.
-- KEYS     set
-- ARGV[2..] members, at most 1000
-- Reply    for each the time (ms) as text, '' when it does not live
-- @include lib.lua
local found = redis.call('ZMSCORE', KEYS[1], unpack(ARGV, 2))
for i = 1, #found do
  if not found[i] or tonumber(found[i]) <= NOW then found[i] = '' end
end
return found
