-- Move an entry into another class: it takes the place that it would have had in that class from the beginning.
-- KEYS     as in lib.lua
-- ARGV[5]  id
-- ARGV[6]  name of the class
-- ARGV[7]  head start of the class (ms)
-- Reply    1 moved, or there already; 0 = the queue does not hold it
-- @include lib.lua
local id, priority, head_start = ARGV[5], ARGV[6], tonumber(ARGV[7])

read({id})
local entry = records[id]
if not entry or entry.state == 'done' then return 0 end
entry.priority, entry.rank = priority, entry.entered - head_start
if entry.state == 'ready' then
  put(READY, entry.rank, member(id, entry)) -- the same member, so it moves
end
save(id, entry)
commit()
return 1
