-- How many are on the board, and how many have a better score than a member.
-- KEYS     as in lib.lua
-- ARGV[3]  member
-- Reply    {members, with a better score}, or {} when the member is not there
-- @include lib.lua
local entry, score = find(ARGV[3])
if not entry then return {} end
local low, high = '-inf', '+inf'
if HIGHER then low = '(' .. score else high = '(' .. score end
return {redis.call('ZCARD', ORDER), redis.call('ZCOUNT', ORDER, low, high)}
