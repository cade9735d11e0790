-- Store what was computed under a lease, unless it was voided: by a delete or a write of the key, by an
-- invalidation of a tag, by somebody who took the lease over. Wakes who waits for it either way.
-- KEYS[1]  entry
-- KEYS[2]  marks
-- ARGV[1]  token, 24 bytes
-- ARGV[2]  the value with its header, which holds the base and the seq of the lease
-- ARGV[3]  ms to keep it, 0 = for ever
-- ARGV[4]  channel of those who wait
-- Reply    1 stored, 0 voided; a repetition finds no lease any more, changes nothing and says 0
-- @include lib.lua
local stored = 0
if holder(redis.call('GET', KEYS[1])) == ARGV[1] then
  if not current(KEYS[2], parse(ARGV[2])) then
    redis.call('DEL', KEYS[1])
  else
    stored = 1
    if tonumber(ARGV[3]) > 0 then
      redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
    else
      redis.call('SET', KEYS[1], ARGV[2])
    end
  end
end
redis.call('PUBLISH', ARGV[4], stored)
return stored
