-- Done: the entries leave the queue. Their tokens are remembered, so the same ack may come twice.
-- KEYS     as in lib.lua
-- ARGV[5…] as `acknowledge` takes them
-- Reply    for each: 1 done (now or before), 0 = the token holds nothing
-- @include lib.lua
local answers = acknowledge(5)
commit()
return answers
