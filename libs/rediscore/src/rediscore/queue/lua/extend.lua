-- Prolong leases: they end a full lease from now.
-- KEYS     as in lib.lua
-- ARGV[5]  lease (ms)
-- ARGV[6…] for each entry: id, token
-- Reply    for each: the new end of the lease (ms), 0 = the token holds nothing
-- @include lib.lua
local lease = tonumber(ARGV[5])

local answers = each_lease(6, 2, function(id, entry, token)
  if not held(entry, token) then return 0 end
  put(LEASED, NOW + lease, id)
  return NOW + lease
end)
commit()
return answers
