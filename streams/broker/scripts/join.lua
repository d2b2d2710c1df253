-- Make a group, unless it is there, and a consumer in it.
-- ARGV, after those of group.lua: consumer, start (the id after which the group begins), mode, run (a text that this
--       run of the consumer alone uses).  Mode "any" joins a group that is there already; "new" leaves it as it is,
--       unless this run made it; "again" is "any" for a consumer that was in it, so making it is counted.
--       Last, 1 when the group is Synapse's by its definition, whoever made it.
-- Reply: {1 when the group was made, 1 when Synapse made it, now or before}, or Redis' error.
local consumer, start, mode, run = ARGV[3], ARGV[4], ARGV[5], ARGV[6]

-- What was pending in a group that is no more: where it will not be read again, it must not keep its key for ever.
local function free_keys()
  local rows = redis.call('HGETALL', LOCKS)
  for at = 1, #rows, 2 do
    local id = rows[at + 1]
    if not redis.call('ZSCORE', WAITING, id) then
      if not entry_of(id) then
        lose(id)
      elseif start == '$' or rank(id) <= rank(start) then
        forget(id)
      end
    end
  end
end

even_when_full()
local created = 1
local made = redis.pcall('XGROUP', 'CREATE', STREAM, GROUP, start, 'MKSTREAM')
if not made.err then
  redis.call('HSET', COUNTERS, 'made_by', run)
  free_keys()
  if mode == 'again' then
    redis.call('HINCRBY', COUNTERS, 'groups_recreated', 1)
  end
elseif string.sub(made.err, 1, 9) ~= 'BUSYGROUP' then
  return made
elseif mode ~= 'new' or redis.call('HGET', COUNTERS, 'made_by') ~= run then
  created = 0
end
if created == 1 or mode ~= 'new' then
  if ARGV[7] == '1' then
    redis.call('HSETNX', COUNTERS, 'made_by', run)
  end
  redis.call('XGROUP', 'CREATECONSUMER', STREAM, GROUP, consumer)
end
return {created, redis.call('HEXISTS', COUNTERS, 'made_by')}
