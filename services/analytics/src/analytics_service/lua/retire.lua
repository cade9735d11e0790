-- For the scripts beside this one: a generation is out of use. Its keys are cleared away later, because
-- somebody may have just learnt its name and be about to read.
--
-- KEYS     control, see apply.lua; it then holds retired:<generation> -> the server's time (ms)
local function retire(control, generation)
  local time = redis.call('TIME')
  redis.call('HDEL', control, 'checkpoint:' .. generation)
  redis.call('HSET', control, 'retired:' .. generation, time[1] * 1000 + math.floor(time[2] / 1000))
end
