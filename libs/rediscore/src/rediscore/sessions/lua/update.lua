-- Change some fields of a session that lives, and begin its idle time anew.
-- KEYS[1..] index as in lib.lua; [2] session; [3] request, see once.lua
-- ARGV[3]  how long the request is remembered (ms)
-- ARGV[4]  digest of its id
-- ARGV[5..] names and values
-- Reply    1, or 0 when it is dead: then nothing is written, or it would come back
-- @include lib.lua
-- @include /once.lua
return once(KEYS[3], ARGV[3], function()
  local ends = living(ARGV[4])
  if not ends or redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
  for from = 5, #ARGV, 1000 do
    redis.call('HSET', KEYS[2], unpack(ARGV, from, math.min(from + 999, #ARGV)))
  end
  slide(KEYS[2], ARGV[4], ends)
  return 1
end)
