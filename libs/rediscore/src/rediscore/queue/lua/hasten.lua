-- A delayed entry becomes ready now, in the place of one that comes in now or in its old one, whichever is better.
-- KEYS     as in lib.lua
-- ARGV[5]  id
-- Reply    1 ready, or taken already; 0 = the queue does not hold it, or it is dead
-- @include lib.lua
local id = ARGV[5]

read({id})
local entry = records[id]
if not entry or entry.state == 'done' or entry.state == 'dead' then return 0 end
if entry.state == 'delayed' then
  take_out(id, entry)
  local early = math.max(0, entry.entered - NOW)
  entry.entered, entry.rank = entry.entered - early, entry.rank - early
  to_ready(id, entry)
  commit()
end
return 1
