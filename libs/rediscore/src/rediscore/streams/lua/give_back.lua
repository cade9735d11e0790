-- Leave entries that a reader took and did not begin to whoever comes next, at once, and as if it had never
-- had them: a reader that stops in good order is no crash.
-- KEYS[1] stream   KEYS[2] lease
-- ARGV[1] token, empty: no lease needed   ARGV[2] group   ARGV[3] consumer   ARGV[4] idle ms that they get
-- ARGV[5..] entry id, deliveries before, entry id, ...
-- Reply: number of entries given back; nil when the lease is not ours.
if ARGV[1] ~= '' and redis.call('GET', KEYS[2]) ~= ARGV[1] then return false end
local given = 0
for i = 5, #ARGV, 2 do
  local pending = redis.call('XPENDING', KEYS[1], ARGV[2], ARGV[i], ARGV[i], 1, ARGV[3])
  if #pending > 0 then
    redis.call('XCLAIM', KEYS[1], ARGV[2], ARGV[3], 0, ARGV[i], 'IDLE', ARGV[4], 'RETRYCOUNT', ARGV[i + 1], 'JUSTID')
    given = given + 1
  end
end
return given
