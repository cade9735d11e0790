-- Look at one entry without changing anything.
-- KEYS     as in lib.lua
-- ARGV[5]  id
-- Reply    {state, row (as of peek.lua)}; nil when the queue does not hold it
-- @include lib.lua
local id = ARGV[5]

read({id})
local entry = records[id]
if not entry or entry.state == 'done' then return nil end
local due = entry.state == 'ready' and entry.entered or tonumber(redis.call('ZSCORE', SETS[entry.state], id))
return {entry.state, {
  id, entry.payload, entry.priority, entry.entered, due,
  entry.failures, entry.recoveries, entry.owner or '', entry.reason or '',
}}
