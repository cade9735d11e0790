-- Members for which an expression over sets holds, in parts: goes through the base sets one after the other.
-- To read, a member that lives in an earlier base set was looked at there; to store, twice does no harm.
-- KEYS[1]  where to put them, see ARGV[7]; only then it is written
-- KEYS[2]  request, see once.lua; only for what is written
-- KEYS[3..] sets of the expression
-- ARGV[2], ARGV[3], ARGV[4] where to go on: number of the set (1 = KEYS[3]), expiry and member ('' and '' =
--          at its beginning)
-- ARGV[5]  how many members to look at (1 to 1000 per set)
-- ARGV[6]  numbers of the base sets, with blanks between: all whose members may be in the result
-- ARGV[7]  'members', 'count', or, to store them, the time (ms) when they will expire
-- ARGV[8]  how long the request is remembered (ms)
-- ARGV[9..] the expression in postfix: numbers of sets, '|', '&', '-'
-- Reply    {number of the set, expiry and member to go on with ('0', '', '' = that was all), count,
--          members when asked for ...}
-- @include lib.lua
-- @include /once.lua
local limit, mode = tonumber(ARGV[5]), ARGV[7]
local READ = mode == 'members' or mode == 'count'
local bases = {}
for number in string.gmatch(ARGV[6], '%d+') do table.insert(bases, tonumber(number)) end

local function holds(lives, row)
  local stack = {}
  for i = 9, #ARGV do
    local token = ARGV[i]
    local set = tonumber(token)
    if set then
      table.insert(stack, lives[set][row])
    else
      local right = table.remove(stack)
      local left = table.remove(stack)
      if token == '|' then table.insert(stack, left or right)
      elseif token == '&' then table.insert(stack, left and right)
      else table.insert(stack, left and not right) end
    end
  end
  return stack[1]
end

-- Those of the candidates for which the expression holds.
local function chosen(candidates, base)
  local lives = {}
  for set = 1, #KEYS - 2 do
    local row = {}
    for i, expiry in ipairs(redis.call('ZMSCORE', KEYS[set + 2], unpack(candidates))) do
      row[i] = expiry and tonumber(expiry) > NOW or false
    end
    lives[set] = row
  end
  local found = {}
  for i, member in ipairs(candidates) do
    local seen = false
    for b = 1, READ and base - 1 or 0 do seen = seen or lives[bases[b]][i] end
    if not seen and holds(lives, i) then table.insert(found, member) end
  end
  return found
end

local function part()
  local base, expiry, member = tonumber(ARGV[2]), ARGV[3], ARGV[4]
  local count, members = 0, {}
  while limit > 0 and base <= #bases do
    local rows
    rows, expiry, member = page(KEYS[bases[base] + 2], expiry, member, limit)
    local candidates = {}
    for i = 1, #rows, 2 do table.insert(candidates, rows[i]) end
    limit = limit - #candidates
    local found = #candidates > 0 and chosen(candidates, base) or {}
    count = count + #found
    for _, one in ipairs(found) do
      if mode == 'members' then
        table.insert(members, one)
      elseif mode ~= 'count' then
        redis.call('ZADD', KEYS[1], mode, one)
      end
    end
    if expiry == '' then base = base + 1 end
  end
  if base > #bases then return {'0', '', '', count, unpack(members)} end
  return {tostring(base), expiry, member, count, unpack(members)}
end

if READ then return part() end
return once(KEYS[2], ARGV[8], function()
  local answer = part()
  -- Nobody may ever go on with it: then it clears up itself.
  redis.call('PEXPIRE', KEYS[1], 600000)
  return answer
end)
