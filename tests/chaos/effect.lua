-- An effect in Redis and the mark that it was had, in one step: however often it runs, it counts once.
-- KEYS[1] marks (hash: item -> token)   KEYS[2] effects (hash: item -> how often)
-- ARGV[1] item   ARGV[2] token
-- Reply: 1 had now, 0 had before.
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[2], ARGV[1], 1)
return 1
