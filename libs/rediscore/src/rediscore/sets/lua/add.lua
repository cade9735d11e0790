-- Put members in, or let them live longer.
-- KEYS     set; [2] request, see once.lua
-- ARGV[2]  how long the request is remembered (ms)
-- ARGV[3]  how long the members live from now (ms)
-- ARGV[4]  'GT': who lives longer already keeps that; '': all live exactly so long
-- ARGV[5..] members, at most 1000
-- Reply    how many of them did not live before
-- @include lib.lua
-- @include /once.lua
return once(KEYS[2], ARGV[2], function()
  local expiry = NOW + tonumber(ARGV[3])
  local added, command = 0, {}
  for i = 5, #ARGV do
    local before = redis.call('ZSCORE', KEYS[1], ARGV[i])
    if not before or tonumber(before) <= NOW then added = added + 1 end
    table.insert(command, expiry)
    table.insert(command, ARGV[i])
  end
  for from = 1, #command, 1000 do
    local last = math.min(from + 999, #command)
    if ARGV[4] == 'GT' then
      redis.call('ZADD', KEYS[1], 'GT', unpack(command, from, last))
    else
      redis.call('ZADD', KEYS[1], unpack(command, from, last))
    end
  end
  settle(KEYS[1])
  return added
end)
