-- Run commands and note that their event had its effect, in one step, unless it had it before.
-- KEYS[1] mark of the event   KEYS[2..] key of each command
-- ARGV[1] ms that the mark is kept   ARGV[2..] for each command: number of parts without the key, its name,
-- its further parts
-- Reply: 1 done, 0 done before. An error of the first command leaves nothing behind; one of a later command
-- leaves the effects of those before it, and the mark says so: then it is the reply to every repetition.
local noted = redis.call('GET', KEYS[1])
if noted == '1' then return 0 end
if noted then return redis.error_reply(noted) end
local at = 2
for i = 2, #KEYS do
  local parts = tonumber(ARGV[at])
  local command = {ARGV[at + 1], KEYS[i], unpack(ARGV, at + 2, at + parts)}
  local reply = redis.pcall(unpack(command))
  if type(reply) == 'table' and reply.err then
    if i > 2 then
      local torn = 'TORN the effect is half done: command ' .. i - 1 .. ' failed: ' .. reply.err
      redis.call('SET', KEYS[1], torn, 'PX', ARGV[1])
      return redis.error_reply(torn)
    end
    return reply
  end
  at = at + parts + 1
end
redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
return 1
