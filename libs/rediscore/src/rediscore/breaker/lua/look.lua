-- What is known of the circuit.
--
-- KEYS, ARGV[1..3]  see lib.lua
-- Reply    {state, version, ms until something may change, openings}
-- @include lib.lua
return told()
