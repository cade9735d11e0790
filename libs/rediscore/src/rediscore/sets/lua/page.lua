-- A part of the members that live.
-- KEYS     set
-- ARGV[2], ARGV[3] where to go on: expiry and member, '' and '' = at the beginning
-- ARGV[4]  how many (1 to 1000)
-- Reply    {expiry and member to go on after, '' and '' = that was all, {member, expiry, ...}}
-- @include lib.lua
local rows, expiry, member = page(KEYS[1], ARGV[2], ARGV[3], tonumber(ARGV[4]))
return {expiry, member, rows}
