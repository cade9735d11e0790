-- Do what time has brought about: leases that ran out go back, what is due becomes ready.
-- KEYS     as in lib.lua
-- ARGV[5]  how many of each at most
-- Reply    number of leases that had run out
-- @include lib.lua
return settle(tonumber(ARGV[5]))
