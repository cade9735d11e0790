-- Send the next dead letters of a group again, as many as its pace allows now (GCRA, whoever asks).
-- KEYS[1..5] as in letter_edit.lua   KEYS[6] what is sent again to the group (stream)
-- KEYS[7] pace (string: when the next may go, in ms)
-- ARGV[1] ms that a repeat is recognised   ARGV[2] after which id, empty: from the oldest
-- ARGV[3] by   ARGV[4] why   ARGV[5] group   ARGV[6] most entries in KEYS[6]   ARGV[7] up to which id,
-- empty: the newest there is now   ARGV[8] reason, empty: any   ARGV[9] letters per second
-- Reply: {letters sent, id to go on after, id to go up to, ms to wait before, 1 when it is full};
-- nothing is left when the second is not smaller than the third; that is an empty id when there is none.
-- @include /once.lua
local DEAD, EDITS, COUNTS, AUDIT = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
-- @include letters.lua
-- @include redrives.lua
local SCANNED, BURST_MS = 500, 100
local group, capacity, upto, reason, gap = ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8], 1000 / tonumber(ARGV[9])
return once(KEYS[5], ARGV[1], function()
  if upto == '' then
    local newest = redis.call('XREVRANGE', DEAD, '+', '-', 'COUNT', 1)[1]
    if not newest then return {0, '', '', 0, 0} end
    upto = newest[1]
  end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + time[2] / 1000
  local free = math.max(tonumber(redis.call('GET', KEYS[7]) or 0), now - BURST_MS)
  local room = capacity - redis.call('XLEN', KEYS[6])
  local after, sent, full = ARGV[2], 0, 0
  local from = after == '' and '-' or '(' .. after
  local entries = redis.call('XRANGE', DEAD, from, upto, 'COUNT', SCANNED)
  for _, entry in ipairs(entries) do
    local letter = {}
    for i = 1, #entry[2], 2 do letter[entry[2][i]] = entry[2][i + 1] end
    if letter.group == group and (reason == '' or letter.reason == reason) then
      if sent >= room then full = 1 break end
      if free > now then break end
      send(KEYS[6], entry[1], letter, ARGV[3], ARGV[4])
      sent, free = sent + 1, free + gap
    end
    after = entry[1]
  end
  if #entries == 0 then after = upto end
  redis.call('SET', KEYS[7], string.format('%.3f', free), 'PX', math.ceil(math.max(free - now, 0)) + 1000)
  return {sent, after, upto, math.ceil(math.max(free - now, 0)), full}
end)
