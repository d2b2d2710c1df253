-- Append an entry, unless one was appended under the same key before.
-- KEYS: stream, the value of the idempotency key, the counters of the stream.
-- ARGV: window (milliseconds), fingerprint of the event, hard length (0: none), then alternating names and values.
-- Reply: the id; or {'DUP', id} of the entry that was appended before; or {'CONFLICT'} when its fingerprint differs; or
-- {'FULL'}.
local stored = redis.call('GET', KEYS[2])
if stored then
  local id, fingerprint = string.match(stored, '^(%S+) (.*)$')
  if fingerprint ~= ARGV[2] then
    return {'CONFLICT'}
  end
  -- A write, so that a WAIT behind the script waits for the replicas also when nothing is appended.
  redis.call('HINCRBY', KEYS[3], 'duplicates', 1)
  return {'DUP', id}
end
if tonumber(ARGV[3]) > 0 and redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[3]) then
  return {'FULL'}
end
-- An event has at most 1,024 properties: unpack stays far below the size of Lua's stack.
local id = redis.call('XADD', KEYS[1], '*', unpack(ARGV, 4))
redis.call('SET', KEYS[2], id .. ' ' .. ARGV[2], 'PX', ARGV[1])
return id
