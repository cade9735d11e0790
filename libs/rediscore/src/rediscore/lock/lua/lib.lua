-- Included by every script of a lock. The keys of one lock have one hash tag, and all have a TTL.
-- KEYS[1]  who holds it: "fencing token:end of the lease (ms):owner". Stays for an hour after the end, so
--          that tokens grow even if the clock is set back; the owner is empty once the lock was released
-- KEYS[2]  the line: zset of owners who wait, by the time of their arrival (us)
-- KEYS[3]  heartbeats: hash owner -> time (ms) until which it counts as waiting, of those who wait for long
-- KEYS[4]  is there when the owner has given up: see release.lua
-- ARGV[1]  time in us, or '' = that of this server
-- ARGV[2]  owner of the request: "channel on which it hears#what tells it from others"
-- ARGV[3]  how long an arrival, or a heartbeat, counts (ms)
local LOCK, LINE, HEARTBEATS, GONE = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local OWNER, HEARTBEAT = ARGV[2], tonumber(ARGV[3])
local TOKEN_MEMORY = 3600000

local NOW_US
if ARGV[1] ~= '' then
  NOW_US = tonumber(ARGV[1])
else
  local time = redis.call('TIME')
  NOW_US = tonumber(time[1]) * 1000000 + tonumber(time[2])
end
local NOW = math.floor(NOW_US / 1000)

-- The last token, who holds the lock (nil: nobody) and until when; whether it was released, which is only
-- when nobody waits; whether the owner of this request has given up.
local TOKEN, HOLDER, LEASE_END, RELEASED, GAVE_UP = 0, nil, 0, false, false
do
  local value, gone = unpack(redis.call('MGET', LOCK, GONE))
  if value then
    local token, lease_end, owner = string.match(value, '^(%d+):(%d+):(.*)$')
    TOKEN, LEASE_END, RELEASED = tonumber(token), tonumber(lease_end), owner == ''
    if LEASE_END > NOW then HOLDER = owner end
  end
  GAVE_UP = gone ~= false
end

local function hold(owner, lease_end)
  HOLDER, LEASE_END = owner, lease_end
  local value = string.format('%.0f:%.0f:%s', TOKEN, lease_end, owner)
  redis.call('SET', LOCK, value, 'PX', TOKEN_MEMORY + math.max(lease_end - NOW, 0))
end

-- Server time keeps tokens growing when the key is lost, the last token when the clock is set back.
local function give(owner, lease_end)
  TOKEN = math.max(TOKEN + 1, NOW_US)
  hold(owner, lease_end)
end

-- Take the first out of the line that still counts as waiting: who, until when, and whether that is so
-- because of its arrival ('a') or of a later heartbeat ('h'). Those before it are dead and dropped.
local function next_in_line()
  while true do
    local owner, arrival = unpack(redis.call('ZPOPMIN', LINE))
    if not owner then return nil end
    local alive_until, because = math.floor(arrival / 1000) + HEARTBEAT, 'a'
    if alive_until - NOW < HEARTBEAT * 5 / 6 then -- before that nobody writes one: see acquire.lua
      local beat = tonumber(redis.call('HGET', HEARTBEATS, owner) or 0)
      if beat > 0 then redis.call('HDEL', HEARTBEATS, owner) end
      if beat > alive_until then alive_until, because = beat, 'h' end
    end
    if alive_until > NOW then return owner, alive_until, because end
  end
end

-- Give the lock to one who has waited, for as long as it counts as waiting, and tell it. One that is dead
-- does not prolong it, so then it is the next one's.
local function hand_to(owner, alive_until, because)
  give(owner, alive_until)
  local message = string.format('%s %.0f %s', owner, TOKEN, because)
  redis.call('PUBLISH', string.match(owner, '^(.*)#'), message)
end
