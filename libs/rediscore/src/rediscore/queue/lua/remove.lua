-- Take an entry out, whatever its state; a worker that holds it loses its lease.
-- KEYS     as in lib.lua
-- ARGV[5]  id
-- ARGV[6]  id of this request, by which a repetition gets the same answer
-- ARGV[7]  how long results are kept (ms)
-- ARGV[8]  channel that tells of them
-- ARGV[9]  what to keep as the result; '' = nothing
-- Reply    1 removed by this request, 0 = the queue did not hold it
-- @include lib.lua
local id, request = ARGV[5], ARGV[6]

read({id})
local entry = records[id]
if not entry then return 0 end
if entry.state == 'done' then return entry.removal == request and 1 or 0 end
take_out(id, entry)
to_done(id, {removal = request})
if ARGV[9] ~= '' then keep_result(KEYS[9], id, ARGV[9], ARGV[7], ARGV[8]) end
commit()
return 1
