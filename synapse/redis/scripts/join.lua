-- Create a group, unless it exists, and a consumer in it.
-- ARGV, after those of group.lua: consumer, start (the id after which the group begins), mode, run (a text that is
--       unique to this run of the consumer). Mode "any" joins an existing group. "new" leaves an existing group
--       unchanged, unless this run created it. "again" is for a consumer that was in the group: a missing group is
--       counted as lost, and continues at the position that `checkpoint` recorded, unless the stream was created again.
--       "keep" creates the group without a consumer: like "any" the first time, and like "again", from the beginning,
--       when it was lost. The last argument is 1 when the group is Synapse's by its definition, whichever program
--       created it.
-- Reply: {1 when the group was created, 1 when Synapse created it, now or earlier, 1 when it continues at its
--        checkpoint}, or Redis' error.
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

-- Return the last known position of a lost group, if the stream is still the same one: a new stream has lower ids, or
-- none.
local function seen_at()
  local place, info = redis.call('HGET', COUNTERS, 'place'), redis.pcall('XINFO', 'STREAM', STREAM)
  return place and not info.err and rank(fields_of(info)['last-generated-id']) >= rank(place) and place
end

-- Record the id after which the group begins: no event up to it was ever delivered to the group. For a group that was
-- created before this was recorded, the id is unknown.
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
