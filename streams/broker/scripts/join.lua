-- Make a group, unless it is there, and a consumer in it.
-- KEYS: stream, counters.
-- ARGV: group, consumer, start (the id after which the group begins), mode, run (a text that this run of the
--       consumer alone uses).  Mode "any" joins a group that is there already; "new" leaves it as it is, unless this
--       run made it; "again" is "any" for a consumer that was in it, so making it is counted.
--       Last, 1 when the group is Synapse's by its definition, whoever made it.
-- Reply: {1 when the group was made, 1 when Synapse made it, now or before}, or Redis' error.
local created = 1
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[3], 'MKSTREAM')
if not made.err then
  redis.call('HSET', KEYS[2], 'made_by', ARGV[5])
  if ARGV[4] == 'again' then
    redis.call('HINCRBY', KEYS[2], 'groups_recreated', 1)
  end
elseif string.sub(made.err, 1, 9) ~= 'BUSYGROUP' then
  return made
elseif ARGV[4] ~= 'new' or redis.call('HGET', KEYS[2], 'made_by') ~= ARGV[5] then
  created = 0
end
if created == 1 or ARGV[4] ~= 'new' then
  if ARGV[6] == '1' then
    redis.call('HSETNX', KEYS[2], 'made_by', ARGV[5])
  end
  redis.call('XGROUP', 'CREATECONSUMER', KEYS[1], ARGV[1], ARGV[2])
end
return {created, redis.call('HEXISTS', KEYS[2], 'made_by')}
