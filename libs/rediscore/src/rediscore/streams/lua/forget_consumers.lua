-- Remove consumers that are gone and hold nothing. In one step, because removing a consumer that was
-- given entries meanwhile would drop them.
-- KEYS[1] stream
-- ARGV[1] group   ARGV[2] own name, which stays   ARGV[3] least idle ms
-- Reply: number of consumers removed.
local removed = 0
for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for i = 1, #fields, 2 do consumer[fields[i]] = fields[i + 1] end
  if consumer.name ~= ARGV[2] and consumer.pending == 0 and consumer.idle >= tonumber(ARGV[3]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
    removed = removed + 1
  end
end
return removed
