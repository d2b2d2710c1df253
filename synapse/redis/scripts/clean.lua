-- Remove consumers that have been silent for long and have no pending entries, from a group that Synapse created. One
-- script checks and removes, because the pending entries of a consumer are lost with it.
-- ARGV, after those of group.lua: the consumer to keep in any case, the least silence of a removed one (milliseconds).
-- Reply: the number of removed consumers, or Redis' error.
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
