-- Move a group to another position in its stream, and keep each of its events in exactly one place.
-- Skipped events are counted. Events to deliver again become unread and no longer wait, nor are they blocked or in
-- flight, unless their entry was trimmed and only the copy is left.
-- A move takes several calls. The position is set first, so that an interruption between two calls repeats some events
-- and loses none.
-- ARGV, after those of group.lua: the id after which the group continues ("+" for the end), 1 to drop unacknowledged
--       events up to there, the greatest number of entries to skip in one call, and of entries to read, the cursor (""
--       to begin), and the actor.
-- Reply: {the next cursor ("" at the end), skipped, unread again, the group's position now}, or Redis' error.
local target, forgets, room, looks, cursor = ARGV[3], ARGV[4] == '1', tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local actor = ARGV[8]

local function place_of_group()
  local groups = redis.pcall('XINFO', 'GROUPS', STREAM)
  if groups.err then
    return groups
  end
  for _, row in ipairs(groups) do
    local group = fields_of(row)
    if group.name == GROUP then
      return group['last-delivered-id']
    end
  end
  return {err = 'NOGROUP there is no such group'}
end

-- A position beyond the end of the stream would skip future events: limit it to the last id.
local function within(id)
  local last = fields_of(redis.call('XINFO', 'STREAM', STREAM))['last-generated-id']
  return (id == '+' or rank(id) > rank(last)) and last or id
end

local skipped, again = 0, 0

-- Return the id up to which this call moves the group, and whether that is the target.
local function skip(from)
  local entries = redis.call('XRANGE', STREAM, '(' .. from, target, 'COUNT', room)
  skipped = skipped + #entries
  if #entries == room and entries[room][1] ~= target then
    return entries[room][1], false
  end
  return target, true
end

-- Say whether the move drops an unacknowledged event from the group.
local function drops(id)
  if rank(id) > rank(target) then
    return entry_of(id) and true or false
  end
  return forgets
end

local function drop(id, unqueued)
  forget(id, unqueued)
  if rank(id) > rank(target) then
    again = again + 1
  else
    skipped = skipped + 1
    pass_over(id, 'skipped', {by = actor})
  end
end

-- Write a line about the move. The parts of one forward move share a line.
local function log_move(from, to)
  local lines = redis.call('ZRANGE', LOG, '[~', '+', 'BYLEX')
  for i = 1, #lines - MOST_MOVES + 1 do
    redis.call('ZREM', LOG, lines[i])
    doubt(lines[i]:match('^%S+ %S+ %S+ (%S+)'))
  end
  local before, begun, ended, by = (lines[#lines] or ''):match('^(%S+) %S+ (%S+) (%S+) (.*)$')
  if before and cursor ~= '' and by == actor and ended == from and rank(begun) < rank(ended) and rank(from) < rank(to) then
    redis.call('ZREM', LOG, lines[#lines])
    from = begun
  end
  local nth = text(redis.call('HINCRBY', COUNTERS, 'logged', 1))
  redis.call(
    'ZADD', LOG, 0,
    '~' .. zeros_before(nth) .. nth .. ' ' .. text(now()) .. ' ' .. from .. ' ' .. to .. ' ' .. actor)
end

-- Remove the dropped events from a queue, at the end at which they are; when there are none at that end, remove only
-- the event `id`. Return the number of removed events, and whether `id` is among them. To search a long queue for each
-- event would take too long.
local function drop_parked(id, most)
  local queue = queue_of(known(id, ':key') or '')
  local at_tail = rank(id) > rank(target)
  local window = redis.call('LRANGE', queue, at_tail and -most or 0, at_tail and -1 or most - 1)
  local gone, found = {}, false
  for _, other in ipairs(window) do
    if is_parked(other) and drops(other) then
      gone[#gone + 1] = other
      found = found or other == id
    end
  end
  if #gone == 0 then
    gone, found = {id}, true
  end
  for _, other in ipairs(gone) do
    -- A copy that is in no queue was not counted as blocked.
    redis.call('HINCRBY', COUNTERS, 'parked', -redis.call('LREM', queue, at_tail and -1 or 1, other))
    drop(other, true)
  end
  return #gone, found
end

-- Examine pending events from a cursor on. Return the next cursor, "m0" after the last of them.
local function look_at_pending(from)
  local rows = redis.call('XPENDING', STREAM, GROUP, from, '+', looks)
  for _, row in ipairs(rows) do
    local id = row[1]
    if known(id, ':body') then
      -- The event also waits, because its group was created again: it must be in one place only.
      redis.call('XACK', STREAM, GROUP, id)
    elseif drops(id) then
      redis.call('XACK', STREAM, GROUP, id)
      drop(id)
    end
  end
  return #rows == looks and 'p(' .. rows[#rows][1] or 'm0'
end

-- Examine copies from a cursor on: each event that waits or is blocked has one. Return the next cursor.
local function look_at_copies(from)
  local found, left, all = redis.call('HSCAN', MESSAGES, from, 'COUNT', looks), looks, true
  for at = 1, #found[2], 2 do
    local id = found[2][at]:match('^(.*):body$')
    -- This call may have removed it already, together with another event of its key.
    if id and known(id, ':body') and drops(id) then
      if redis.call('ZREM', WAITING, id) == 1 then
        drop(id)
      elseif left > 0 then
        local gone, itself = drop_parked(id, left)
        left, all = left - gone, all and itself
      else
        all = false
      end
    end
  end
  if not all then
    return 'm' .. from
  end
  return found[1] == '0' and '' or 'm' .. found[1]
end

local place = place_of_group()
if type(place) == 'table' then
  return place
end
even_when_full()
target = within(target)
local following, from = cursor, place
if rank(place) < rank(target) then
  local arrived
  place, arrived = skip(place)
  following = arrived and 'p-' or 's'
else
  place = target
  if cursor == '' or cursor == 's' then
    following = 'p-'
  end
end
redis.call('XGROUP', 'SETID', STREAM, GROUP, place)
if LOG and place ~= from then
  log_move(from, place)
elseif rank(place) > rank(from) then
  doubt(place)
end
-- If the group were lost now, the checkpoint of the old position would skip the events that are unread again.
redis.call('HDEL', COUNTERS, 'place')
local began = redis.call('HGET', COUNTERS, 'began')
if began and rank(place) < rank(began) then
  redis.call('HSET', COUNTERS, 'began', place)
end
local kind, rest = following:sub(1, 1), following:sub(2)
if kind == 'p' then
  following = look_at_pending(rest)
elseif kind == 'm' then
  following = look_at_copies(rest)
end
if skipped > 0 then
  redis.call('HINCRBY', COUNTERS, 'skipped', skipped)
end
return {following, skipped, again, place}
