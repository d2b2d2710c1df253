-- Tell people of changes of a rule's alerts, unless another evaluator did meanwhile.
-- KEYS: what was told of each rule, the stream of alerts, that stream's counters.
-- ARGV: the rule; what was told of it as it was read ("": nothing), and what is told now; the stream's hard length, 0
--       when the stream is not defined; the entry's names and values in turn.
-- Reply: 1, or 0 when something else was told by now.

-- As in change_alerts.lua: also when Redis is full.
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
