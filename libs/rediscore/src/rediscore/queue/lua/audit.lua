-- Compare one page of the records, of the claims or of a set with all the rest: every record is in the set of its
-- state and in no other one, and nothing is anywhere without a record. Changes nothing.
-- KEYS     as in lib.lua
-- ARGV[5]  entries, claims, ready, delayed, leased, dead or done
-- ARGV[6]  where the page begins: 0, or what the last page answered
-- ARGV[7]  about how many
-- Reply    {where the next page begins; 0 = this was the last one, how many were looked at, a sentence for each fault}
-- @include lib.lua
local what, cursor, count = ARGV[5], ARGV[6], ARGV[7]
local faults = {}

local function fault(...)
  faults[#faults + 1] = string.format(...)
end

local function record_of(id, packed)
  local entry = cmsgpack.unpack(packed)
  local found = {}
  for state, set in pairs(SETS) do
    local name = state == 'ready' and entry.sequence and member(id, entry) or id
    local score = redis.call('ZSCORE', set, name)
    if score then found[#found + 1] = state end
    if score and state == 'ready' and tonumber(score) ~= entry.rank then
      fault('%s is ready at %s, and its record says %.0f', id, score, entry.rank)
    end
  end
  if #found ~= 1 or found[1] ~= entry.state then
    table.sort(found)
    fault('%s is %s by its record, and in the sets: %s', id, entry.state, table.concat(found, ', '))
  end
  if (entry.token or 0) > records[QUEUE].token or (entry.sequence or 0) > records[QUEUE].sequence then
    fault('%s has a number that the queue has not given yet', id)
  end
  if entry.claim and entry.state ~= 'leased' then
    fault('%s is %s and names a claim', id, entry.state)
  end
end

local function claim_of(claim, packed)
  local ids = cmsgpack.unpack(packed)
  read(ids)
  for _, id in ipairs(ids) do
    local entry = records[id]
    if not entry or entry.state ~= 'leased' or entry.claim ~= claim then
      fault('claim %s names %s, which is not held by it', claim, id)
    end
  end
end

local function member_of(name)
  local id = what == 'ready' and id_of(name) or name
  read({id})
  local entry = records[id]
  if not entry or entry.state ~= what or (what == 'ready' and member(id, entry) ~= name) then
    fault('%s is in %s, and its record says %s', name, what, entry and entry.state or 'nothing')
  end
end

read({})
local key = ({entries = ENTRIES, claims = CLAIMS})[what] or SETS[what]
local scan = (what == 'entries' or what == 'claims') and 'HSCAN' or 'ZSCAN'
local answer = redis.call(scan, key, cursor, 'COUNT', count)
local page = answer[2]
for i = 1, #page, 2 do
  if what == 'claims' then
    claim_of(page[i], page[i + 1])
  elseif what ~= 'entries' then
    member_of(page[i])
  elseif page[i] ~= QUEUE then
    record_of(page[i], page[i + 1])
  end
end
return {answer[1], #page / 2, unpack(faults)}
