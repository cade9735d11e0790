-- Which of these entries the queue holds: ready, delayed, leased or dead; not what is done.
-- KEYS     as in lib.lua
-- ARGV[5…] ids
-- Reply    {1 or 0 for each}
-- @include lib.lua
local answers = {}
for i = 5, #ARGV do
  local entry = load(ARGV[i])
  answers[i - 4] = (entry and entry.state ~= 'done') and 1 or 0
end
return answers
