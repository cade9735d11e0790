-- Included by the scripts of a cache: what lies under a key, and whether it still counts.
--
-- Under each of the KEYS that are entries lies a value or a lease; the layouts are in entry.py. The last
-- of them, `marks`, is a sorted set: member = `:` and a tag, score = number of its last invalidation.
-- Numbers grow, by the server's clock (us) where that is ahead. `#last` is the greatest one given; `#base`
-- names this set, so that one which was lost and made anew is known as another; marks up to `#floor` are
-- forgotten, so what began before that counts as invalidated.
local LEASE, NONE, EXTENDED = 1, 2, 4
local FOR_EVER = 9007199254740992 -- 2^53

local function is_lease(entry)
  return entry and #entry == 26 and string.byte(entry, 1) == 193 and string.byte(entry, 2) == LEASE
end

-- The header of a value; nil for a lease, for nothing, and for bytes that are not ours.
local function parse(entry)
  if not entry or #entry < 2 then return nil end
  local magic, flags = string.byte(entry, 1, 2)
  if magic ~= 193 or flags > 6 or flags % 2 == LEASE then return nil end
  if flags < EXTENDED then return {size = 2, ttl = 0, grace = 0, busy = 0, base = 0, seq = 0, tags = {}} end
  if #entry < 68 then return nil end
  local head = {tags = {}}
  local _
  _, _, head.size, head.ttl, head.grace, head.busy, head.token, head.base, head.seq =
    struct.unpack('>BBI2I8I8I8c24I8I8', entry)
  if head.size < 68 or head.size > #entry then return nil end
  local at = 69
  while at <= head.size do
    local length = string.byte(entry, at)
    if at + length > head.size then return nil end
    head.tags[#head.tags + 1] = string.sub(entry, at + 1, at + length)
    at = at + length + 1
  end
  return head
end

-- Who computes the value of this entry; nil when nobody does.
local function holder(entry)
  if is_lease(entry) then return string.sub(entry, 3) end
  local head = parse(entry)
  return head and head.token
end

-- Whether no tag was invalidated since the computation began (or since the value was set).
local function current(marks, head)
  if #head.tags == 0 then return true end
  local scores = redis.call('ZMSCORE', marks, '#base', '#floor', unpack(head.tags))
  if not scores[1] or tonumber(scores[1]) ~= head.base or head.seq < tonumber(scores[2]) then return false end
  for i = 3, #scores do
    if scores[i] and tonumber(scores[i]) > head.seq then return false end
  end
  return true
end

-- Milliseconds for which a value is fresh; not above 0 when only its grace is left.
local function fresh_for(key, head)
  local left = redis.call('PTTL', key)
  if left < 0 then return FOR_EVER end
  return left - head.grace
end

local function now_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function now_ms()
  return math.floor(now_us() / 1000)
end

-- Who computes (24 bytes, or 24 zeros) and until when that is believed, into the header of a value.
local function occupy(key, busy_until, token)
  local field = struct.pack('>I8', busy_until) .. token
  redis.call('SETRANGE', key, 20, field)
end

-- Base and last number of the marks, made when there are none. `#keep` holds how long the longest-lived
-- entry lives (ms, at least `retention`; 2^53 = for ever); the marks live for twice that, renewed when half
-- of it is over.
local function moment(marks, retention)
  if retention == 0 then retention = FOR_EVER end
  local known = redis.call('ZMSCORE', marks, '#base', '#last', '#keep')
  local base, last, keep = tonumber(known[1] or ''), tonumber(known[2] or ''), tonumber(known[3] or '0')
  if not base then
    base = now_us()
    last = base
    local score = string.format('%.0f', base)
    redis.call('ZADD', marks, score, '#base', score, '#floor', score, '#last')
  end
  if keep < retention then
    keep = retention
    redis.call('ZADD', marks, string.format('%.0f', keep), '#keep')
    if keep == FOR_EVER then redis.call('PERSIST', marks) else redis.call('PEXPIRE', marks, 2 * keep) end
  elseif keep < FOR_EVER and redis.call('PTTL', marks) < keep then
    redis.call('PEXPIRE', marks, 2 * keep)
  end
  return base, last, keep
end

-- Write a value, for `ttl` ms (0 = for ever); with tags, as of the present moment.
local function write(key, marks, entry, ttl, retention)
  if ttl > 0 then redis.call('SET', key, entry, 'PX', ttl) else redis.call('SET', key, entry) end
  local head = parse(entry)
  if #head.tags > 0 then
    local base, seq = moment(marks, retention)
    local stamp = struct.pack('>I8I8', base, seq)
    redis.call('SETRANGE', key, 52, stamp)
  end
end
