-- End the leases of a consumer that is gone: what it had is due now.
-- KEYS: waiting, messages.  ARGV: token, lease (milliseconds), offset, limit.
-- Reply: {leases looked at, ended}. The caller goes on from where this ended until fewer than the limit were there.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local from, to = string.format('(%.0f', now), string.format('%.0f', now + tonumber(ARGV[2]))
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], from, to, 'LIMIT', ARGV[3], ARGV[4])
local ended = 0
for _, id in ipairs(ids) do
  if redis.call('HGET', KEYS[2], id .. ':tok') == ARGV[1] then
    redis.call('HSET', KEYS[2], id .. ':tok', '')
    redis.call('ZADD', KEYS[1], string.format('%.0f', now), id)
    ended = ended + 1
  end
end
return {#ids, ended}
