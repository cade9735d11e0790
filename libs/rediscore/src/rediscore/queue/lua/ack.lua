-- Done: the entry leaves the queue. Its token is remembered, so the same ack may come twice.
-- KEYS     as in lib.lua
-- ARGV[5]  id
-- ARGV[6]  token
-- Reply    1 done (now or before), 0 = the token holds nothing
-- @include lib.lua
local id, token = ARGV[5], tonumber(ARGV[6])

local entry = load(id)
if entry and entry.state == 'done' and entry.token == token then return 1 end
if not held(entry, token) then return 0 end
take_out(id, entry)
to_done(id, {token = token})
forget(DONE, MEMORY, 10)
return 1
