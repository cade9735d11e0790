-- Take the lock, or stand in line for it. The same owner gets the same answer again, so a lost reply
-- costs nothing; in line, each call is a heartbeat and keeps the place.
-- KEYS     as in lib.lua
-- ARGV[4]  lease (ms)
-- ARGV[5]  1 = stand in line if it is not free
-- Reply    {fencing token, 0}, or {0, ms until the lease of the present holder ends by itself}
-- @include lib.lua
local lease, patient = tonumber(ARGV[4]), ARGV[5] == '1'

if HOLDER == OWNER then
  hold(OWNER, NOW + lease)
  return {TOKEN, 0}
end
-- A request that arrives late, after its owner has said that it wants the lock no more.
if GAVE_UP then return {0, 0} end

if not HOLDER then
  local owner, alive_until, because
  if not RELEASED then owner, alive_until, because = next_in_line() end
  if not owner or owner == OWNER then
    give(OWNER, NOW + lease)
    return {TOKEN, 0}
  end
  hand_to(owner, alive_until, because)
end
if patient then
  if redis.call('ZADD', LINE, 'NX', string.format('%.0f', NOW_US), OWNER) == 0 then
    local arrival = tonumber(redis.call('ZSCORE', LINE, OWNER))
    if math.floor(arrival / 1000) - NOW < -HEARTBEAT / 6 then
      redis.call('HSET', HEARTBEATS, OWNER, NOW + HEARTBEAT)
      redis.call('PEXPIRE', HEARTBEATS, HEARTBEAT)
    end
  end
  redis.call('PEXPIRE', LINE, HEARTBEAT)
end
return {0, LEASE_END - NOW}
