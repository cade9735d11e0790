-- Put what was built in the place of an audience.
-- KEYS     what was built, audience, request, see once.lua
-- ARGV[2]  how long the request is remembered (ms)
-- Reply    how many members it has
-- @include lib.lua
-- @include /once.lua
return once(KEYS[3], ARGV[2], function()
  if redis.call('EXISTS', KEYS[1]) == 0 then
    redis.call('UNLINK', KEYS[2])
    return 0
  end
  redis.call('RENAME', KEYS[1], KEYS[2])
  settle(KEYS[2])
  return redis.call('ZCOUNT', KEYS[2], ALIVE, '+inf')
end)
