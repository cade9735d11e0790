-- Deliver new entries to the reader that holds the lease, and to no other. A reader that was paused
-- beyond its lease would strand what it reads: its successor has drained the pending list already.
-- KEYS[1] stream   KEYS[2] lease
-- ARGV[1] token   ARGV[2] length of the lease in ms   ARGV[3] group   ARGV[4] consumer   ARGV[5] count
-- Reply: list of {id, {field, value, ...}}, or nil when the lease is not ours.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return false end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
local reply = redis.call('XREADGROUP', 'GROUP', ARGV[3], ARGV[4], 'COUNT', ARGV[5], 'STREAMS', KEYS[1], '>')
if not reply then return {} end
return reply[1][2]
