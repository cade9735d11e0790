-- Which of these entries the queue holds: ready, delayed, leased or dead; not what is done.
-- KEYS     as in lib.lua
-- ARGV[5…] ids
-- Reply    {1 or 0 for each}
-- @include lib.lua
local ids, answers = {unpack(ARGV, 5)}, {}
read(ids)
for i, id in ipairs(ids) do
  answers[i] = (records[id] and records[id].state ~= 'done') and 1 or 0
end
return answers
