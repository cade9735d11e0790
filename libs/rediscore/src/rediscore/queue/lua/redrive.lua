-- Give dead entries another life: ready at the end of their class, with nothing counted against them.
-- KEYS     as in lib.lua
-- ARGV[5]  how many of those that have been dead for longest, when no ids are given
-- ARGV[6]  classes and their head starts (ms): a JSON object
-- ARGV[7…] ids
-- Reply    the ids that came back; a repetition finds them no longer dead
-- @include lib.lua
local most, head_starts = tonumber(ARGV[5]), cjson.decode(ARGV[6])
local ids = {unpack(ARGV, 7)}
if #ids == 0 and most > 0 then ids = redis.call('ZRANGE', DEAD, 0, most - 1) end

local back = {}
read(ids)
for _, id in ipairs(ids) do
  local entry = records[id]
  if entry and entry.state == 'dead' then
    take_out(id, entry)
    entry.failures, entry.recoveries, entry.reason = 0, 0, nil
    enter(entry, 0, head_starts[entry.priority] or 0)
    to_ready(id, entry)
    back[#back + 1] = id
  end
end
commit()
return back
