-- Take members out.
-- KEYS     set; [2] request, see once.lua
-- ARGV[2]  how long the request is remembered (ms)
-- ARGV[3..] members, at most 1000
-- Reply    how many of them lived
-- @include lib.lua
-- @include /once.lua
return once(KEYS[2], ARGV[2], function()
  settle(KEYS[1])
  local removed = 0
  for i = 3, #ARGV do
    local expiry = redis.call('ZSCORE', KEYS[1], ARGV[i])
    if expiry and tonumber(expiry) > NOW then removed = removed + 1 end
  end
  redis.call('ZREM', KEYS[1], unpack(ARGV, 3))
  settle(KEYS[1])
  return removed
end)
