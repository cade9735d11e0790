-- The sessions of a user that live, those that end first first.
-- KEYS[1]  as in lib.lua
-- ARGV     as in lib.lua
-- Reply    {digest, end (ms) as text, ...}
-- @include lib.lua
trim()
return redis.call('ZRANGE', INDEX, 0, -1, 'WITHSCORES')
