-- Take pending entries over, with what is known of earlier failures.
-- KEYS[1] stream   KEYS[2] failures (hash: entry -> count or "dead:...")   KEYS[3] lease
-- ARGV[1] token, empty: no lease needed   ARGV[2] group   ARGV[3] consumer   ARGV[4] least idle ms
-- ARGV[5] what is in front of the ids in the hash   ARGV[6..] entry ids
-- Reply: {list of {id, {field, value, ...}}, list of failures in the same order}, or nil when the lease
-- is not ours. Entries that are not in the stream any more leave the pending list and are not returned.
if ARGV[1] ~= '' and redis.call('GET', KEYS[3]) ~= ARGV[1] then return false end
local command = {'XCLAIM', KEYS[1], ARGV[2], ARGV[3], ARGV[4]}
for i = 6, #ARGV do command[#command + 1] = ARGV[i] end
local entries = redis.call(unpack(command))
if #entries == 0 then return {{}, {}} end
local fields = {}
for i, entry in ipairs(entries) do fields[i] = ARGV[5] .. entry[1] end
return {entries, redis.call('HMGET', KEYS[2], unpack(fields))}
