-- Append an entry, unless one was appended under the same key before.
-- KEYS: stream, what the key stands for, the stream's counters.
-- ARGV: window (milliseconds), fingerprint of what was sent, hard length (0: none), the entry's names and values in turn.
-- Reply: the id; or {'DUP', id} of the entry that was appended before, or {'CONFLICT'} for a fingerprint that differs, or
-- {'FULL'}.
local stored = redis.call('GET', KEYS[2])
if stored then
  local id, fingerprint = string.match(stored, '^(%S+) (.*)$')
  if fingerprint ~= ARGV[2] then
    return {'CONFLICT'}
  end
  -- Something is written: a WAIT that follows would else wait for nothing.
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
