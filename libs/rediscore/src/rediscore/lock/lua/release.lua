-- The owner neither holds the lock nor waits for it any more; the first in line gets it. Again: no effect.
-- KEYS     as in lib.lua
-- ARGV[4]  ms for which a late request of this owner is refused; 0 = none of its requests is unanswered
-- Reply    1, or 0 = the owner did not hold the lock (any more)
-- @include lib.lua
if tonumber(ARGV[4]) > 0 then redis.call('SET', GONE, 1, 'PX', ARGV[4]) end
local held = HOLDER == OWNER
if not held then
  if redis.call('ZREM', LINE, OWNER) == 1 then redis.call('HDEL', HEARTBEATS, OWNER) end
  if HOLDER or RELEASED then return 0 end
end
local owner, alive_until, because = next_in_line()
if owner then
  hand_to(owner, alive_until, because)
elseif held then
  hold('', 0)
end
return held and 1 or 0
