-- Read a value, or become the one that computes it. Again with the same token: the same answer.
-- KEYS[1]  entry
-- KEYS[2]  marks
-- ARGV[1]  token, 24 bytes
-- ARGV[2]  lease (ms)
-- ARGV[3]  share of the TTL after which a fresh value is due to be refreshed; 1 = never
-- ARGV[4]  bytes that the caller has found unreadable, or nothing
-- ARGV[5]  tagged: the computation needs to know when it began (1 or 0)
-- ARGV[6]  ms that a value lives at most, 0 = for ever
-- Reply    {'hit', entry, ms fresh}    a value
--          {'busy', entry, ms fresh}   a value that somebody computes anew, or that is not to be tried now
--          {'wait', '', ms}            no value; somebody computes it, and is believed for so long
--          {'lease', '', 0, base, seq} no value: compute it, and give the token, base and seq to fill.lua
--          {'refresh', entry, ms fresh, base, seq}  the same with a value to serve meanwhile
-- @include lib.lua
local key, marks, token, lease = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2])

local function began()
  if ARGV[5] == '0' then return 0, 0 end
  local base, seq = moment(marks, tonumber(ARGV[6]))
  return base, seq
end

local entry = redis.call('GET', key)
local head = entry ~= ARGV[4] and parse(entry) or nil
if head and current(marks, head) then
  local fresh = fresh_for(key, head)
  if fresh > 0 and fresh > head.ttl * (1 - tonumber(ARGV[3])) then return {'hit', entry, fresh} end
  local now = now_ms()
  if head.busy > now and head.token ~= token then return {'busy', entry, fresh} end
  occupy(key, now + lease, token)
  return {'refresh', entry, fresh, began()}
end
if is_lease(entry) and holder(entry) ~= token then return {'wait', '', redis.call('PTTL', key)} end
local mark = string.char(193, LEASE) .. token
redis.call('SET', key, mark, 'PX', lease)
return {'lease', '', 0, began()}
