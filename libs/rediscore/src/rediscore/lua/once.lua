-- Included by scripts whose second run would count twice. The request that is sent again because its
-- answer was lost carries the same id, finds what the first run answered, and changes nothing.
--
-- key     of the request, one of the KEYS of the including script
-- ttl_ms  how long a repeat is recognised: longer than the sender keeps trying
-- act     does the work and returns the answer: integers, strings, arrays of both; not nil
local function once(key, ttl_ms, act)
  local kept = redis.call('GET', key)
  if kept then
    return cmsgpack.unpack(kept)
  end
  local answer = act()
  redis.call('SET', key, cmsgpack.pack(answer), 'PX', ttl_ms)
  return answer
end
