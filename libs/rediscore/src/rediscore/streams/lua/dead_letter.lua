-- Write a dead letter once. The entry itself is acknowledged later, when the owner of the handler
-- knows of it; the mark keeps a crash in between from writing a second letter.
-- KEYS[1] dead letters (stream)   KEYS[2] their corrections (hash)   KEYS[3] letters per group (hash)
-- KEYS[4] failures (hash)   KEYS[5] lease   KEYS[6] stream of the entry
-- ARGV[1] token, empty: no lease needed   ARGV[2] field in failures   ARGV[3] mark "dead:..."
-- ARGV[4] ms that the failures are kept   ARGV[5] most dead letters kept   ARGV[6] id of the entry, empty:
-- it came by another road   ARGV[7..] "group", group, field, value, ...
-- Reply: {id of the letter, or empty: it was written before or the entry has ended elsewhere; older
-- letters that had to go}, or nil when the lease is not ours.
if ARGV[1] ~= '' and redis.call('GET', KEYS[5]) ~= ARGV[1] then return false end
local known = redis.call('HGET', KEYS[4], ARGV[2])
if known and string.sub(known, 1, 5) == 'dead:' then return {'', 0} end
-- Without a lease two may try an entry at once, and the mark of who was first leaves with its acknowledgement.
if ARGV[1] == '' and ARGV[6] ~= '' then
  local pending = redis.pcall('XPENDING', KEYS[6], ARGV[8], ARGV[6], ARGV[6], 1)
  local entry = redis.pcall('XRANGE', KEYS[6], ARGV[6], ARGV[6])
  if not pending.err and #pending == 0 and not entry.err and #entry > 0 then return {'', 0} end
end
local letter = redis.call('XADD', KEYS[1], '*', unpack(ARGV, 7))
redis.call('HINCRBY', KEYS[3], ARGV[8], 1)
redis.call('HSET', KEYS[4], ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[4], ARGV[4])

-- A bound that was lowered is reached in steps.
local surplus = math.min(redis.call('XLEN', KEYS[1]) - tonumber(ARGV[5]), 100)
if surplus <= 0 then return {letter, 0} end
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', surplus)) do
  local id, fields = entry[1], entry[2]
  redis.call('XDEL', KEYS[1], id)
  local note = id .. ':note'
  redis.call('HDEL', KEYS[2], id, note)
  for i = 1, #fields, 2 do
    if fields[i] == 'group' and redis.call('HINCRBY', KEYS[3], fields[i + 1], -1) <= 0 then
      redis.call('HDEL', KEYS[3], fields[i + 1])
    end
  end
end
return {letter, surplus}
