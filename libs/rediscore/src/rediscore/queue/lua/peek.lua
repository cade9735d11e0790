-- Look at the head of one set without changing anything.
-- KEYS     as in lib.lua
-- ARGV[5]  ready or dead
-- ARGV[6]  how many at most
-- Reply    {{id, payload, class, entry time (ms), failures, leases run out, reason}, …}
-- @include lib.lua
local set = ARGV[5] == 'dead' and DEAD or READY
local answers = {}
for i, name in ipairs(redis.call('ZRANGE', set, 0, ARGV[6] - 1)) do
  local id = set == READY and string.sub(name, 18) or name
  local entry = load(id)
  answers[i] = {
    id, entry.payload, entry.priority, entry.entered, entry.failures, entry.recoveries, entry.reason or '',
  }
end
return answers
