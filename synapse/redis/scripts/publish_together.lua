-- Append entries, all or none of them, unless the stream would grow past its hard length, or they were appended under the
-- same key before.
-- KEYS: stream; with an idempotency key also its value, and the counters of the stream.
-- ARGV: hard length (0: none), window (milliseconds), fingerprint of the batch; then for each entry the number of its
-- parts and the parts (names and values in turn).
-- Reply: {'OK' or 'DUP', id, ...}, or {'CONFLICT'} when the fingerprint differs, or {'FULL'}.
if KEYS[2] then
  local stored = redis.call('GET', KEYS[2])
  if stored then
    local found = {'DUP'}
    for word in string.gmatch(stored, '%S+') do
      found[#found + 1] = word
    end
    if table.remove(found, 2) ~= ARGV[3] then
      return {'CONFLICT'}
    end
    -- A write, so that a WAIT behind the script waits for the replicas also when nothing is appended.
    redis.call('HINCRBY', KEYS[3], 'duplicates', #found - 1)
    return found
  end
end
local entries = {}
local at = 4
while at <= #ARGV do
  local parts = tonumber(ARGV[at])
  entries[#entries + 1] = {at + 1, at + parts}
  at = at + parts + 1
end
local hard = tonumber(ARGV[1])
if hard > 0 and redis.call('XLEN', KEYS[1]) + #entries > hard then
  return {'FULL'}
end
local ids = {'OK'}
for i, entry in ipairs(entries) do
  -- An event has at most 1,024 properties: unpack stays far below the size of Lua's stack.
  ids[i + 1] = redis.call('XADD', KEYS[1], '*', unpack(ARGV, entry[1], entry[2]))
end
if KEYS[2] then
  redis.call('SET', KEYS[2], ARGV[3] .. ' ' .. table.concat(ids, ' ', 2), 'PX', ARGV[2])
end
return ids
