-- Put a whole record in the place of what is there.
-- KEYS     as in lib.lua
-- ARGV[4]  TTL (ms), 0 = none
-- ARGV[5..] names and values of the fields
-- Reply    {1, new version}, or {0, version that it has} when that is not the expected one
-- @include lib.lua
-- @include /once.lua
return once(KEYS[2], ARGV[2], function()
  local before = version_now()
  if not expected(before) then return {0, before} end
  local version = next_version(before)
  redis.call('DEL', RECORD)
  set_fields(5, version)
  if ARGV[4] ~= '0' then redis.call('PEXPIRE', RECORD, ARGV[4]) end
  return {1, version}
end)
