-- Delete a record.
-- KEYS     as in lib.lua
-- ARGV     as in lib.lua
-- Reply    {1, 0} deleted, {0, version that it has} when that is not the expected one, {-1, 0} no record
-- @include lib.lua
-- @include /once.lua
return once(KEYS[2], ARGV[2], function()
  local before = version_now()
  if before == 0 then return {-1, 0} end
  if not expected(before) then return {0, before} end
  redis.call('DEL', RECORD)
  return {1, 0}
end)
