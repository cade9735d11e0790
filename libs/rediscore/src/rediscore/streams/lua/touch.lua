-- Say that a reader still works on entries, and learn which it holds no longer: it was paused, and another
-- has taken them over. Those are left alone: touching them would take them back from who works on them now.
-- KEYS[1] stream
-- ARGV[1] group   ARGV[2] consumer   ARGV[3] 1: what is acknowledged is deleted   ARGV[4..] entry ids
-- Reply: ids that are another's or have ended elsewhere. What a wiped stream or group knows nothing about
-- is still the reader's: nobody else will have it.
local held, lost = {}, {}
for i = 4, #ARGV do
  local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)
  if pending.err then return {} end
  if #pending == 0 then
    if ARGV[3] == '1' or #redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i]) > 0 then lost[#lost + 1] = ARGV[i] end
  elseif pending[1][2] ~= ARGV[2] then
    lost[#lost + 1] = ARGV[i]
  else
    held[#held + 1] = ARGV[i]
  end
end
if #held > 0 then
  held[#held + 1] = 'JUSTID'
  redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, unpack(held))
end
return lost
