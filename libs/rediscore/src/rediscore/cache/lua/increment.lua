-- Add to a number, keeping its TTL; without a fresh value, begin with the addend. A lease on the key is
-- void. A repetition answers what the first one did.
-- KEYS[1]  entry
-- KEYS[2]  marks
-- KEYS[3]  the request
-- ARGV[1]  ms for which the request is recognised
-- ARGV[2]  addend, a whole number
-- ARGV[3]  the value to begin with, with its header
-- ARGV[4]  ms to keep that, 0 = for ever
-- Reply    the new number, or 'not a number' or 'too large' (2^53 or more): nothing has changed
-- @include lib.lua
-- @include /once.lua
return once(KEYS[3], ARGV[1], function()
  local entry = redis.call('GET', KEYS[1])
  local head = parse(entry)
  if not (head and current(KEYS[2], head) and fresh_for(KEYS[1], head) > 0) then
    write(KEYS[1], KEYS[2], ARGV[3], tonumber(ARGV[4]), 0)
    return tonumber(ARGV[2])
  end
  local text = string.sub(entry, head.size + 1)
  if not string.find(text, '^%-?%d+$') then return 'not a number' end
  local sum = tonumber(text) + tonumber(ARGV[2])
  if math.abs(sum) >= FOR_EVER then return 'too large' end
  local changed = string.sub(entry, 1, head.size) .. string.format('%.0f', sum)
  redis.call('SET', KEYS[1], changed, 'KEEPTTL')
  return sum
end)
