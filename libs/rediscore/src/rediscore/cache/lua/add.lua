-- Write a value unless there is a fresh one. A repetition answers what the first one did.
-- KEYS[1]  entry
-- KEYS[2]  marks
-- KEYS[3]  the request
-- ARGV[1]  ms for which the request is recognised
-- ARGV[2]  the value with its header
-- ARGV[3]  ms to keep it, 0 = for ever
-- ARGV[4]  ms that a value lives at most, 0 = for ever
-- Reply    1 written, 0 there is one
-- @include lib.lua
-- @include /once.lua
return once(KEYS[3], ARGV[1], function()
  local head = parse(redis.call('GET', KEYS[1]))
  if head and current(KEYS[2], head) and fresh_for(KEYS[1], head) > 0 then return 0 end
  write(KEYS[1], KEYS[2], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]))
  return 1
end)
