-- Remove a consumer, unless it has pending entries, which would be lost with it.
-- KEYS: stream.
-- ARGV: group, consumer.
-- Reply: 1 when it was removed.
local left = redis.pcall('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2])
if left.err or #left > 0 then
  return 0
end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1
