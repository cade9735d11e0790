-- End all sessions of a user: without the index each of them is dead. Whoever calls clears their data.
-- KEYS[1..] index as in lib.lua; [2] request, see once.lua
-- ARGV[3]  how long the request is remembered (ms)
-- Reply    digests of the sessions that lived
-- @include lib.lua
-- @include /once.lua
return once(KEYS[2], ARGV[3], function()
  trim()
  local digests = redis.call('ZRANGE', INDEX, 0, -1)
  redis.call('UNLINK', INDEX)
  return digests
end)
