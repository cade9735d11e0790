-- What the scripts of this folder share. A record is one hash: a field per field of the model, and its
-- version in ':v', a name that no field can have.
--
-- KEYS[1]  the record
-- KEYS[2]  the request, see once.lua
-- ARGV[1]  tests only: time in ms instead of the server's, else ''
-- ARGV[2]  how long the request is remembered (ms)
-- ARGV[3]  version that the record must have: '' = any, '0' = there must be no record
local RECORD = KEYS[1]

-- Server time in microseconds keeps versions growing when a record was deleted or has expired, the last
-- version when the clock runs backwards: no version ever comes again.
local function next_version(version)
  local us
  if ARGV[1] ~= '' then
    us = tonumber(ARGV[1]) * 1000
  else
    local time = redis.call('TIME')
    us = time[1] * 1000000 + time[2]
  end
  return math.max(version + 1, us)
end

local function version_now()
  return tonumber(redis.call('HGET', RECORD, ':v') or 0)
end

local function expected(version)
  return ARGV[3] == '' or tonumber(ARGV[3]) == version
end

-- Names and values from ARGV[first] on.
local function set_fields(first, version)
  for from = first, #ARGV, 1000 do
    redis.call('HSET', RECORD, unpack(ARGV, from, math.min(from + 999, #ARGV)))
  end
  redis.call('HSET', RECORD, ':v', string.format('%.0f', version))
end
