-- Take an entry out, whatever its state; a worker that holds it loses its lease.
-- KEYS     as in lib.lua
-- ARGV[5]  id
-- ARGV[6]  id of this request, by which a repetition gets the same answer
-- Reply    1 removed by this request, 0 = the queue did not hold it
-- @include lib.lua
local id, request = ARGV[5], ARGV[6]

read({id})
local entry = records[id]
if not entry then return 0 end
if entry.state == 'done' then return entry.removal == request and 1 or 0 end
take_out(id, entry)
to_done(id, {removal = request})
commit()
return 1
