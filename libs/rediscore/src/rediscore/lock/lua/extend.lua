-- Hold the lock for a full lease from now, if the owner still holds it. Again: no harm.
-- KEYS     as in lib.lua
-- ARGV[4]  lease (ms)
-- Reply    1, or 0 = the owner does not hold it (any more)
-- @include lib.lua
if HOLDER ~= OWNER then return 0 end
hold(OWNER, NOW + tonumber(ARGV[4]))
return 1
