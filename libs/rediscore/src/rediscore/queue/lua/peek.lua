-- Look at a part of one set without changing anything.
-- KEYS     as in lib.lua
-- ARGV[5]  ready, delayed, leased or dead
-- ARGV[6]  how many to leave out
-- ARGV[7]  how many at most
-- Reply    {{id, payload, class, entry time (ms), when it falls due, its lease ends or it died (ms),
--            failures, leases run out, owner, last reason}, …}
-- @include lib.lua
local state, offset = ARGV[5], tonumber(ARGV[6])
local ids, scores, answers = {}, {}, {}
local found = redis.call('ZRANGE', SETS[state], offset, offset + ARGV[7] - 1, 'WITHSCORES')
for i = 1, #found, 2 do
  ids[#ids + 1] = state == 'ready' and id_of(found[i]) or found[i]
  scores[#scores + 1] = tonumber(found[i + 1])
end
read(ids)
for i, id in ipairs(ids) do
  local entry = records[id]
  answers[i] = {
    id, entry.payload, entry.priority, entry.entered, state == 'ready' and entry.entered or scores[i],
    entry.failures, entry.recoveries, entry.owner or '', entry.reason or '',
  }
end
return answers
