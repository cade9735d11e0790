-- Write a dead letter once. The entry itself is acknowledged later, when the owner of the handler
-- knows of it; the mark keeps a crash in between from writing a second letter.
-- KEYS[1] dead letters   KEYS[2] failures (hash)   KEYS[3] lease   KEYS[4] stream
-- ARGV[1] token, empty: no lease needed   ARGV[2] field in failures   ARGV[3] mark "dead:..."
-- ARGV[4] ms that the failures are kept   ARGV[5] most dead letters kept   ARGV[6] id of the entry, empty:
-- it came by another road   ARGV[7..] field, value, ..., the first of them "group", group
-- Reply: 1 written, 0 was written before or the entry has ended elsewhere, nil when the lease is not ours.
if ARGV[1] ~= '' and redis.call('GET', KEYS[3]) ~= ARGV[1] then return false end
local known = redis.call('HGET', KEYS[2], ARGV[2])
if known and string.sub(known, 1, 5) == 'dead:' then return 0 end
-- Without a lease two may try an entry at once, and the mark of who was first leaves with its acknowledgement.
if ARGV[1] == '' and ARGV[6] ~= '' then
  local pending = redis.pcall('XPENDING', KEYS[4], ARGV[8], ARGV[6], ARGV[6], 1)
  local entry = redis.pcall('XRANGE', KEYS[4], ARGV[6], ARGV[6])
  if not pending.err and #pending == 0 and not entry.err and #entry > 0 then return 0 end
end
redis.call('XADD', KEYS[1], 'MAXLEN', '=', ARGV[5], '*', unpack(ARGV, 7))
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 1
