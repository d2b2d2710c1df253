-- Make a group, unless it is there, and a consumer in it.
-- ARGV, after those of group.lua: consumer, start (the id after which the group begins), mode, run (a text that this
--       run of the consumer alone uses).  Mode "any" joins a group that is there already; "new" leaves it as it is,
--       unless this run made it; "again" is "any" for a consumer that was in it, so making it is counted, and it goes
--       on where `checkpoint` last saw it, unless the stream is a new one; "keep" is for nobody: it makes the group
--       alone, like "any" the first time and like "again", from the beginning, when it was lost.
--       Last, 1 when the group is Synapse's by its definition, no matter which program made it.
-- Reply: {1 when the group was made, 1 when Synapse made it, now or before, 1 when it continues at its checkpoint}, or
--        Redis' error.
local consumer, start, mode, run = ARGV[3], ARGV[4], ARGV[5], ARGV[6]

-- Release the keys of events that were pending in a deleted group and will not be read again.
local function free_keys()
  local rows = redis.call('HGETALL', LOCKS)
  for at = 1, #rows, 2 do
    local ids = redis.call('LRANGE', queue_of(rows[at]), 0, -1)
    table.insert(ids, 1, rows[at + 1])
    for _, id in ipairs(ids) do
      -- An event that waits or is blocked stays so.
      local was_pending = not known(id, ':body') and not redis.call('ZSCORE', WAITING, id)
      if was_pending and not entry_of(id) then
        lose(id)
      elseif was_pending and (start == '$' or rank(id) <= rank(start)) then
        forget(id)
      end
    end
  end
end

-- Where a lost group was, if the stream is the one that it was in: a new one has lower ids, or none.
local function seen_at()
  local place, info = redis.call('HGET', COUNTERS, 'place'), redis.pcall('XINFO', 'STREAM', STREAM)
  return place and not info.err and rank(fields_of(info)['last-generated-id']) >= rank(place) and place
end

-- Note behind which id the group begins: what lies up to there was never given to it. One that was made before this was
-- noted may have had anything.
local function note_begin(is_again)
  local noted = redis.call('HGET', COUNTERS, 'began')
  if not noted and (is_again or redis.call('HEXISTS', COUNTERS, 'made_by') == 1) then
    return
  end
  local place = start == '$' and fields_of(redis.call('XINFO', 'STREAM', STREAM))['last-generated-id'] or start
  if not noted or rank(place) < rank(noted) then
    redis.call('HSET', COUNTERS, 'began', place)
  end
end

even_when_full()
local again = mode == 'again' or (mode == 'keep' and redis.call('HEXISTS', COUNTERS, 'made_by') == 1)
local created, resumed = 1, again and seen_at()
if again and mode == 'keep' then
  start = '0'
end
start = resumed or start
local made = redis.pcall('XGROUP', 'CREATE', STREAM, GROUP, start, 'MKSTREAM')
if not made.err then
  note_begin(again)
  redis.call('HSET', COUNTERS, 'made_by', run)
  free_keys()
  if again then
    redis.call('HINCRBY', COUNTERS, 'groups_recreated', 1)
  end
elseif string.sub(made.err, 1, 9) ~= 'BUSYGROUP' then
  return made
elseif mode ~= 'new' or redis.call('HGET', COUNTERS, 'made_by') ~= run then
  created = 0
end
if mode ~= 'keep' and (created == 1 or mode ~= 'new') then
  if ARGV[7] == '1' then
    redis.call('HSETNX', COUNTERS, 'made_by', run)
  end
  redis.call('XGROUP', 'CREATECONSUMER', STREAM, GROUP, consumer)
end
return {created, redis.call('HEXISTS', COUNTERS, 'made_by'), created == 1 and resumed and 1 or 0}
