-- Change some fields of a record that is there. One that is not (any more) stays away: it would come
-- back as a part, and without its TTL.
-- KEYS     as in lib.lua
-- ARGV[4]  TTL that begins now (ms), 0 = keep what is left of it
-- ARGV[5..] names and values of the fields
-- Reply    {1, new version}, {0, version that it has} when that is not the expected one, {-1, 0} no record
-- @include lib.lua
-- @include /once.lua
return once(KEYS[2], ARGV[2], function()
  local before = version_now()
  if before == 0 then return {-1, 0} end
  if not expected(before) then return {0, before} end
  local version = next_version(before)
  set_fields(5, version)
  if ARGV[4] ~= '0' then redis.call('PEXPIRE', RECORD, ARGV[4]) end
  return {1, version}
end)
