-- Remove consumers that have had nothing pending for long. Asked and removed in one script: what a consumer has pending
-- would go with it. Only in groups that Synapse made.
-- ARGV, after those of group.lua: the consumer that stays in any case, for how long one must have been silent
--       (milliseconds).
-- Reply: how many were removed.
if redis.call('HEXISTS', COUNTERS, 'made_by') == 0 then
  return 0
end
local consumers = redis.pcall('XINFO', 'CONSUMERS', STREAM, GROUP)
if consumers.err then
  return consumers
end
local removed = 0
for _, row in ipairs(consumers) do
  local consumer = fields_of(row)
  if consumer.pending == 0 and consumer.idle >= tonumber(ARGV[4]) and consumer.name ~= ARGV[3] then
    redis.call('XGROUP', 'DELCONSUMER', STREAM, GROUP, consumer.name)
    removed = removed + 1
  end
end
return removed
