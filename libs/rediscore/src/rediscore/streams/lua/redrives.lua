-- Included by scripts that send letters again, after letters.lua; KEYS as there.
-- Reply: that of the script which includes it.
-- Moves one letter into the stream that its group alone reads: never in both, never in neither.
local function send(redrive, id, letter, by, why)
  redis.call('XADD', redrive, '*', '__data__', redis.call('HGET', EDITS, id) or letter.entry, 'letter', id,
    'original_id', letter.original_id, 'redrives', (tonumber(letter.redrives) or 0) + 1)
  note('redrive', id, letter, by, why)
  take_out(id, letter)
end
