-- Count refused events of a stream by kind. When there are too many kinds, those without refusals for the longest time
-- are removed.
-- KEYS: the kinds by the time of their last refusal (milliseconds since 1970), the details of each kind.
-- ARGV: the greatest number of kinds, the time for which they are kept after the last refusal (milliseconds); then for
--       each kind its digest, the number of events, the times of the first and the last, the known properties, and a
--       sample ("" for none).
for i = 3, #ARGV, 6 do
  local digest = ARGV[i]
  -- Before the counting: when this fails because a key has another type, the caller reports the events again later.
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
