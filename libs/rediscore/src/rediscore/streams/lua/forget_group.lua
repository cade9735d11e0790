-- Remove a group that nobody reads any more, so that it holds back trimming no longer.
-- KEYS[1] stream   KEYS[2] what was sent again to the group (stream)
-- ARGV[1] group   ARGV[2] least ms since any of its consumers was there
-- Reply: 1 removed, 0 there is none, -1 somebody reads it.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for _, fields in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = {}
  for i = 1, #fields, 2 do group[fields[i]] = fields[i + 1] end
  if group.name == ARGV[1] then
    for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
      for i = 1, #consumer, 2 do
        if consumer[i] == 'idle' and consumer[i + 1] < tonumber(ARGV[2]) then return -1 end
      end
    end
    redis.call('XGROUP', 'DESTROY', KEYS[1], ARGV[1])
    redis.call('DEL', KEYS[2])
    return 1
  end
end
return 0
