-- End one session.
-- KEYS[1..] index as in lib.lua; [2] session
-- ARGV[3]  digest of its id
-- Reply    1
-- @include lib.lua
trim()
redis.call('ZREM', INDEX, ARGV[3])
redis.call('UNLINK', KEYS[2])
return 1
