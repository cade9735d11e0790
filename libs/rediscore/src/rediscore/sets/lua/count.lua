-- How many members live.
-- KEYS     set
-- ARGV     as in lib.lua
-- Reply    the number
-- @include lib.lua
return redis.call('ZCOUNT', KEYS[1], ALIVE, '+inf')
