-- Make every value with one of these tags, and every computation of one that has begun, not count any more.
-- KEYS[1]  marks
-- ARGV[1]  ms that a value lives at most, as far as the caller knows, 0 = for ever; older marks are forgotten
-- ARGV[2]  how many marks to keep at most
-- ARGV[3..] members of the tags
-- Reply    the number of this invalidation
-- @include lib.lua
local marks, most = KEYS[1], tonumber(ARGV[2])
local _, last, keep = moment(marks, tonumber(ARGV[1]))
local now = now_us()
local seq = math.max(last + 1, now)
local score = string.format('%.0f', seq)
redis.call('ZADD', marks, score, '#last')
for i = 3, #ARGV do redis.call('ZADD', marks, score, ARGV[i]) end

local cut = keep < FOR_EVER and now - keep * 1000 or 0
local surplus = redis.call('ZCARD', marks) - 4 - most
if surplus > 0 then
  -- A quarter at once, so that not every call has to do it. Three reserved members lie below the marks.
  local rank = 3 + surplus + math.floor(most / 4)
  local at = redis.call('ZRANGE', marks, rank, rank, 'WITHSCORES')[2]
  cut = math.max(cut, math.min(tonumber(at), seq - 1))
end
local floor = redis.call('ZSCORE', marks, '#floor')
local from, to = '(' .. floor, string.format('%.0f', cut)
local newest = redis.call('ZREVRANGEBYSCORE', marks, to, from, 'WITHSCORES', 'LIMIT', 0, 1)[2]
if newest then
  redis.call('ZREMRANGEBYSCORE', marks, from, newest)
  redis.call('ZADD', marks, newest, '#floor')
end
return score
