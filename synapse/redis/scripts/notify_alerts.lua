-- Append a notification about the alerts of a rule, unless another evaluator has done so.
-- KEYS: the last notification of each rule, the stream of alerts, that stream's counters.
-- ARGV: the rule, the last notification that was read ("" for none), the new one; the stream's hard length, 0 when the
--       stream is not defined; the entry's names and values, alternating.
-- Reply: 1, or 0 when the last notification has changed meanwhile.

-- This must work even when Redis is out of memory, as in change_alerts.lua.
redis.pcall('HDEL', KEYS[1], '')
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
if tonumber(ARGV[4]) > 0 then
  local added = redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', unpack(ARGV, 5))
  if not added.err then
    redis.pcall('HINCRBY', KEYS[3], 'published', 1)
  end
end
return 1
