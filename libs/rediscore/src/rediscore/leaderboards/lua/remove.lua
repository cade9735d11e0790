-- Take a member off the board.
-- KEYS[1..4] as in lib.lua; [5] request, see once.lua
-- ARGV[3]  how long the request is remembered (ms)
-- ARGV[4]  member
-- Reply    1, or 0 when it was not there
-- @include lib.lua
-- @include /once.lua
return once(KEYS[5], ARGV[3], function()
  local entry, score = find(ARGV[4])
  if not entry then return 0 end
  local field = ':' .. ARGV[4]
  redis.call('ZREM', ORDER, entry)
  redis.call('HDEL', ARRIVALS, field)
  let_go(score)
  return 1
end)
