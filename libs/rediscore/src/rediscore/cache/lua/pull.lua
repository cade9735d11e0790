-- Read a value and delete it, with a lease on its key. A repetition answers what the first one did.
-- KEYS[1]  entry
-- KEYS[2]  marks
-- KEYS[3]  the request
-- ARGV[1]  ms for which the request is recognised
-- Reply    {its bytes}, or {} when there is no fresh value
-- @include lib.lua
-- @include /once.lua
return once(KEYS[3], ARGV[1], function()
  local entry = redis.call('GET', KEYS[1])
  local head = parse(entry)
  local fresh = head and current(KEYS[2], head) and fresh_for(KEYS[1], head) > 0
  redis.call('DEL', KEYS[1])
  return fresh and {entry} or {}
end)
