-- Set or add to the score of a member.
-- KEYS[1..4] as in lib.lua; [5] request, see once.lua
-- ARGV[3]  how long the request is remembered (ms)
-- ARGV[4]  when the board expires (Unix ms), 0 = never
-- ARGV[5]  member
-- ARGV[6]  'set', 'better' (set, unless what the member has is as good) or 'add'
-- ARGV[7]  number
-- Reply    {1, score as text, how many are better}, {0, 'range'} the score would be beyond 2^53 or too
--          large for the number to count, {0, 'over'} the board has expired
-- @include lib.lua
-- @include /once.lua
return once(KEYS[5], ARGV[3], function()
  local member, how, number = ARGV[5], ARGV[6], tonumber(ARGV[7])
  if ARGV[4] ~= '0' then
    local time = redis.call('TIME')
    if tonumber(ARGV[4]) <= time[1] * 1000 + time[2] / 1000 then return {0, 'over'} end
  end
  local entry, old = find(member)
  local score = number + 0 -- turns -0 into 0
  if how == 'add' and entry then
    score = tonumber(old) + number + 0
    if number ~= 0 and score == tonumber(old) then return {0, 'range'} end
  end
  if math.abs(score) > LIMIT then return {0, 'range'} end
  local kept = how == 'better' and entry
    and (HIGHER and tonumber(old) >= score or not HIGHER and tonumber(old) <= score)
  if not kept then
    entry = place(member, string.format('%.17g', score))
    if ARGV[4] ~= '0' then
      for i = 1, 4 do redis.call('PEXPIREAT', KEYS[i], ARGV[4]) end
    end
  end
  local now = redis.call('ZSCORE', ORDER, entry)
  return {1, now, better(position_of(entry), now)}
end)
