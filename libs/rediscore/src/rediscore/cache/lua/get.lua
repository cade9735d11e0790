-- Read values of one shard.
-- KEYS[1..n]  entries
-- KEYS[n+1]   marks
-- Reply       for each entry three: its bytes, or nil when there is no value that counts;
--             ms for which it is fresh (not above 0: only for want of better); ms for which somebody
--             is known to compute it anew, 0 = nobody
-- ARGV        none
-- @include lib.lua
local marks = KEYS[#KEYS]
local reply = {}
for i = 1, #KEYS - 1 do
  local entry = redis.call('GET', KEYS[i])
  local head = parse(entry)
  local at = 3 * i
  if head and current(marks, head) then
    reply[at - 2] = entry
    reply[at - 1] = fresh_for(KEYS[i], head)
    reply[at] = head.busy > 0 and math.max(0, head.busy - now_ms()) or 0
  else
    -- Bytes that are not ours are for the caller to wonder at.
    reply[at - 2] = not head and not is_lease(entry) and entry or false
    reply[at - 1], reply[at] = 0, 0
  end
end
return reply
