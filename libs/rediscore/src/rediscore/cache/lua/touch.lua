-- Let a fresh value live for a full TTL from now.
-- KEYS[1]  entry
-- KEYS[2]  marks
-- ARGV[1]  ms, 0 = for ever
-- Reply    1, or 0 when there is no fresh value
-- @include lib.lua
local entry = redis.call('GET', KEYS[1])
local head = parse(entry)
if not head or not current(KEYS[2], head) or fresh_for(KEYS[1], head) <= 0 then return 0 end
local ttl = tonumber(ARGV[1])
if ttl == 0 then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ttl + head.grace) end
if head.size > 2 then
  local field = struct.pack('>I8', ttl)
  redis.call('SETRANGE', KEYS[1], 4, field)
end
return 1
