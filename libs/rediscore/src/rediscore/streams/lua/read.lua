-- Deliver new entries to the reader that holds the lease, and to no other. A reader that was paused
-- beyond its lease would strand what it reads: its successor has drained the pending list already.
-- KEYS[1] stream   KEYS[2] what is sent again to the group (stream)   KEYS[3] lease
-- ARGV[1] token   ARGV[2] length of the lease in ms   ARGV[3] group   ARGV[4] consumer   ARGV[5] count
-- Reply: for each stream a list of {id, {field, value, ...}}, together at most count; or nil when the
-- lease is not ours.
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return false end
redis.call('PEXPIRE', KEYS[3], ARGV[2])
local function read(stream, count)
  if count <= 0 then return {} end
  local reply = redis.call('XREADGROUP', 'GROUP', ARGV[3], ARGV[4], 'COUNT', count, 'STREAMS', stream, '>')
  return reply and reply[1][2] or {}
end
local again = read(KEYS[2], tonumber(ARGV[5]))
return {read(KEYS[1], tonumber(ARGV[5]) - #again), again}
