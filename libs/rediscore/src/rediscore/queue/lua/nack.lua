-- Failed: back into the queue after a pause, in its old place; dead after too many failures.
-- KEYS     as in lib.lua
-- ARGV[5]  id
-- ARGV[6]  token
-- ARGV[7]  reason
-- ARGV[8]  failures after which it is dead
-- ARGV[9]  how long results are kept (ms)
-- ARGV[10] channel that tells of them
-- ARGV[11] what to keep as the result if it is dead now; '' = nothing
-- ARGV[12…] pause after the first failure (ms), after the second, …; the last one goes for all that follow
-- Reply    1 it will be tried again, 2 it is dead, 0 = the token holds nothing; the same when sent again
-- @include lib.lua
local id, token, reason, max_failures = ARGV[5], tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])

read({id})
local entry = records[id]
if repeated(entry, token, 'nack') then return entry.state == 'dead' and 2 or 1 end
if not held(entry, token) then return 0 end
end_lease(id, entry, 'nack')
entry.failures, entry.reason = entry.failures + 1, reason
if entry.failures >= max_failures then
  to_dead(id, entry, reason)
  if ARGV[11] ~= '' then keep_result(KEYS[9], id, ARGV[11], ARGV[9], ARGV[10]) end
else
  local pause = tonumber(ARGV[11 + math.min(entry.failures, #ARGV - 11)])
  if pause > 0 then
    to_delayed(id, entry, pause)
  else
    to_ready(id, entry)
  end
end
commit()
return entry.state == 'dead' and 2 or 1
