-- How many dead letters each group has. Counted along with every change; when somebody changed the stream
-- otherwise (deleted it, say) the sums differ and it is counted anew.
-- KEYS[1] dead letters (stream)   KEYS[2] letters per group (hash)
-- Reply: group, number, group, number, ...
local length, sum = redis.call('XLEN', KEYS[1]), 0
for _, count in ipairs(redis.call('HVALS', KEYS[2])) do sum = sum + count end
if sum ~= length then
  redis.call('DEL', KEYS[2])
  local from, page = '-', nil
  repeat
    page = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 500)
    for _, entry in ipairs(page) do
      for i = 1, #entry[2], 2 do
        if entry[2][i] == 'group' then redis.call('HINCRBY', KEYS[2], entry[2][i + 1], 1) end
      end
      from = '(' .. entry[1]
    end
  until #page < 500
end
return redis.call('HGETALL', KEYS[2])
