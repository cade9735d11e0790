-- Cut off the front of a stream that all its groups have read and acknowledged.
-- KEYS[1] stream
-- ARGV[1] number of newest entries that stay in any case
-- Reply: number of entries removed. Without a group nothing is removed.
if redis.call('XLEN', KEYS[1]) <= tonumber(ARGV[1]) then return 0 end

-- Ids are two 64-bit numbers; Lua's doubles cannot hold them, so they are compared as padded text.
local function padded(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return string.rep('0', 20 - #ms) .. ms .. string.rep('0', 20 - #seq) .. seq
end

local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', ARGV[1])
local bound = newest[#newest][1]

local groups = redis.call('XINFO', 'GROUPS', KEYS[1])
if #groups == 0 then return 0 end
for _, fields in ipairs(groups) do
  local group = {}
  for i = 1, #fields, 2 do group[fields[i]] = fields[i + 1] end
  -- The last entry delivered stays too: harmless, and saves counting up an id.
  local needed = group['last-delivered-id']
  if group['pending'] > 0 then needed = redis.call('XPENDING', KEYS[1], group['name'])[2] end
  if padded(needed) < padded(bound) then bound = needed end
end
return redis.call('XTRIM', KEYS[1], 'MINID', '=', bound)
