-- Failed: back into the queue after a pause, in its old place; dead after too many failures.
-- KEYS     as in lib.lua
-- ARGV[5]  id
-- ARGV[6]  token
-- ARGV[7]  reason
-- ARGV[8]  failures after which it is dead
-- ARGV[9…] pause after the first failure (ms), after the second, …; the last one goes for all that follow
-- Reply    1 done (now or before), 0 = the token holds nothing
-- @include lib.lua
local id, token, reason, max_failures = ARGV[5], tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])

local entry = load(id)
if repeated(entry, token, 'nack') then return 1 end
if not held(entry, token) then return 0 end
end_lease(id, entry, 'nack')
entry.failures = entry.failures + 1
if entry.failures >= max_failures then
  to_dead(id, entry, reason)
  forget(DEAD, DEAD_RETENTION, 10)
  return 1
end
local pause = tonumber(ARGV[8 + math.min(entry.failures, #ARGV - 8)])
if pause > 0 then
  to_delayed(id, entry, NOW + pause)
else
  to_ready(id, entry)
end
return 1
