-- A process opens the circuit, or its operator closes it, unless others know something newer.
--
-- KEYS, ARGV[1..3]  see lib.lua
-- ARGV[4]  open or closed
-- ARGV[5]  newest version that the caller knows; what is newer stays ('' = whatever it is)
-- ARGV[6]  how long it stays open (ms)
-- ARGV[7]  the how many-th opening in a row
-- Reply    {state, version, ms until something may change, openings}. Again after it was done: the same.
-- @include lib.lua
if ARGV[5] == '' or version <= tonumber(ARGV[5]) then
  openings = tonumber(ARGV[7])
  go(ARGV[4], tonumber(ARGV[6]))
end
return told()
