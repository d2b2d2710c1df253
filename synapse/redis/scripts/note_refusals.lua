-- Note refused events of a stream, by kind. A kind that was not met for the longest time goes when there are too many.
-- KEYS: the kinds by when each was met last (milliseconds since 1970), what is known of each kind.
-- ARGV: how many kinds are kept, how long they are kept after the last one (milliseconds); then for each kind its digest,
--       how many events, when the first and the last of them came, what is known of it, and a sample ("": none).
for i = 3, #ARGV, 6 do
  local digest = ARGV[i]
  -- Before it counts: when a key holds something else, the events are noted again later.
  redis.call('ZADD', KEYS[1], 'GT', ARGV[i + 3], digest)
  redis.call('HINCRBY', KEYS[2], digest .. ':count', ARGV[i + 1])
  redis.call('HSETNX', KEYS[2], digest .. ':first', ARGV[i + 2])
  redis.call('HSET', KEYS[2], digest .. ':known', ARGV[i + 4])
  if ARGV[i + 5] ~= '' then
    redis.call('HSET', KEYS[2], digest .. ':sample', ARGV[i + 5])
  end
end
local surplus = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[1])
if surplus > 0 then
  for _, digest in ipairs(redis.call('ZRANGE', KEYS[1], 0, surplus - 1)) do
    redis.call('ZREM', KEYS[1], digest)
    redis.call('HDEL', KEYS[2], digest .. ':count', digest .. ':first', digest .. ':known', digest .. ':sample')
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return redis.status_reply('OK')
