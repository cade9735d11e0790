-- Begin a session.
-- KEYS[1..] index as in lib.lua; [2] session; [3] request, see once.lua
-- ARGV[3]  how long the request is remembered (ms)
-- ARGV[4]  digest of its id
-- ARGV[5]  user
-- ARGV[6]  absolute lifetime (ms)
-- ARGV[7]  most sessions of a user; beyond it those end that would end first
-- ARGV[8..] names and values of the data
-- Reply    {created (ms), end of the absolute lifetime (ms)}
-- @include lib.lua
-- @include /once.lua
return once(KEYS[3], ARGV[3], function()
  local session, digest, lifetime = KEYS[2], ARGV[4], tonumber(ARGV[6])
  local ends = NOW + lifetime
  trim()
  redis.call('ZREMRANGEBYRANK', INDEX, 0, -tonumber(ARGV[7])) -- leaves room for one
  for from = 8, #ARGV, 1000 do
    redis.call('HSET', session, unpack(ARGV, from, math.min(from + 999, #ARGV)))
  end
  redis.call('HSET', session, ':user', ARGV[5], ':created', string.format('%.0f', NOW),
    ':end', string.format('%.0f', ends))
  redis.call('PEXPIRE', session, math.min(IDLE, lifetime))
  redis.call('ZADD', INDEX, NOW + math.min(IDLE, lifetime), digest)
  -- The other sessions may have begun under a longer lifetime.
  redis.call('PEXPIRE', INDEX, math.max(lifetime, redis.call('PTTL', INDEX)))
  return {NOW, ends}
end)
