-- Given back unfinished: ready at once, in its old place, and no failure is counted.
-- KEYS     as in lib.lua
-- ARGV[5…] for each entry: id, token
-- Reply    for each: 1 done (now or before), 0 = the token holds nothing
-- @include lib.lua
local answers = each_lease(5, 2, function(id, entry, token)
  if repeated(entry, token, 'release') then return 1 end
  if not held(entry, token) then return 0 end
  end_lease(id, entry, 'release')
  to_ready(id, entry)
  return 1
end)
commit()
return answers
