-- Which period of a periodic task was put into the queue last. A task that is seen for the first time begins with
-- the next period.
-- KEYS[1]  periods  zset  name of the task by the time of that period (ms)
-- ARGV[1]  name
-- ARGV[2]  time of the present period (ms)
-- ARGV[3]  1 = its call is in the queue; 0 = is it?
-- ARGV[4]  how long a task is remembered (ms)
-- Reply    1 the call of this period, or of a later one, is in the queue; 0 = it has to be put in
local PERIODS, name, period, keep = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4])

if ARGV[3] == '1' then
  redis.call('ZADD', PERIODS, 'GT', period, name)
else
  redis.call('ZADD', PERIODS, 'NX', period, name)
end
redis.call('ZREMRANGEBYSCORE', PERIODS, '-inf', period - keep)
redis.call('PEXPIRE', PERIODS, keep)
return tonumber(redis.call('ZSCORE', PERIODS, name)) >= period and 1 or 0
