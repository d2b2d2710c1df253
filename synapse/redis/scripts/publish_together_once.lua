-- Append all entries or none, without those that were appended before under their own keys.
-- KEYS: stream, the counters of the stream, then the value of the idempotency key of each entry.
-- ARGV: hard length (0: none), window (milliseconds); then for each entry its fingerprint, the number of
-- its parts and the parts (names and values in turn).
-- Reply: {'OK', id, ...}, with '=' before the id of an entry that was appended before; or {'CONFLICT', place} for the
-- first fingerprint that differs, counted from 0; or {'FULL'}.
local ids, first, new, repeated = {'OK'}, {}, {}, 0
local at = 3
for i = 3, #KEYS do
  local fingerprint, parts = ARGV[at], tonumber(ARGV[at + 1])
  local stored = redis.call('GET', KEYS[i])
  local earlier = first[KEYS[i]]
  if stored then
    local id, before = string.match(stored, '^(%S+) (.*)$')
    if before ~= fingerprint then
      return {'CONFLICT', i - 3}
    end
    ids[i - 1] = '=' .. id
  elseif earlier then
    -- The batch has the key twice.
    if earlier.fingerprint ~= fingerprint then
      return {'CONFLICT', i - 3}
    end
    ids[i - 1] = earlier
  else
    new[#new + 1] = {key = KEYS[i], fingerprint = fingerprint, from = at + 2, to = at + 1 + parts}
    first[KEYS[i]] = new[#new]
    ids[i - 1] = new[#new]
  end
  at = at + 2 + parts
end
local hard = tonumber(ARGV[1])
if hard > 0 and #new > 0 and redis.call('XLEN', KEYS[1]) + #new > hard then
  return {'FULL'}
end
for _, entry in ipairs(new) do
  -- An event has at most 1,024 properties: unpack stays far below the size of Lua's stack.
  entry.id = redis.call('XADD', KEYS[1], '*', unpack(ARGV, entry.from, entry.to))
  redis.call('SET', entry.key, entry.id .. ' ' .. entry.fingerprint, 'PX', ARGV[2])
end
for i = 2, #ids do
  local entry = ids[i]
  if type(entry) == 'table' then
    ids[i] = (entry.told and '=' or '') .. entry.id
    entry.told = true
  end
  if string.sub(ids[i], 1, 1) == '=' then
    repeated = repeated + 1
  end
end
if repeated > 0 then
  -- A write, so that a WAIT behind the script waits for the replicas also when nothing is appended.
  redis.call('HINCRBY', KEYS[2], 'duplicates', repeated)
end
return ids
