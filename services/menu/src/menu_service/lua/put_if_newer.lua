-- Keep a copy of the menu unless a newer one is there.
--
-- KEYS[1] the copy, a hash: revision, body
-- ARGV[1] revision that the body shows
-- ARGV[2] body
-- ARGV[3] milliseconds to keep it
-- Reply   1 kept, 0 a newer one is there
local kept = tonumber(redis.call('HGET', KEYS[1], 'revision') or '-1')
if kept > tonumber(ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[1], 'revision', ARGV[1], 'body', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
