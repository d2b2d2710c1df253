-- Give a group another place in its stream, and keep each of its events in one place.
-- What is skipped is counted. What comes again is unread: of such events nothing waits, is parked, or is in anybody's
-- hand, unless their entry is gone, because then the copy is all that there is.
-- ARGV, after those of group.lua: the id after which the group goes on ("+": the end), 1 to forget also what it has and
--       has not settled up to there, how many entries one call may skip.
-- Reply: {1 when there is more to do, skipped, unread again, the group's place now}, or Redis' error.
local target, forgets, room = ARGV[3], ARGV[4] == '1', tonumber(ARGV[5])

local function fields_of(row)
  local fields = {}
  for at = 1, #row, 2 do
    fields[row[at]] = row[at + 1]
  end
  return fields
end

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

-- A place beyond the end would swallow what is still to come.
local function within(id)
  local last = fields_of(redis.call('XINFO', 'STREAM', STREAM))['last-generated-id']
  return (id == '+' or rank(id) > rank(last)) and last or id
end

local skipped, again = 0, 0

-- Return the id up to which the group is moved now, and whether that is all.
local function skip(from)
  local entries = redis.call('XRANGE', STREAM, '(' .. from, target, 'COUNT', room)
  skipped = skipped + #entries
  if #entries == room and entries[room][1] ~= target then
    return entries[room][1], false
  end
  return target, true
end

-- Say whether the group is rid of what it has not settled, and count it.
local function drops(id)
  if rank(id) > rank(target) then
    if not entry_of(id) then
      return false
    end
    again = again + 1
    return true
  end
  skipped = skipped + (forgets and 1 or 0)
  return forgets
end

-- First those that wait for their turn: whoever is dropped later must not pass its turn on to one of them.
local function drop_parked()
  local locks = redis.call('HGETALL', LOCKS)
  for at = 1, #locks, 2 do
    local queue, kept, gone = QUEUES .. locks[at] .. ':' .. GROUP, {}, 0
    for _, id in ipairs(redis.call('LRANGE', queue, 0, -1)) do
      if drops(id) then
        forget(id)
        gone = gone + 1
      else
        kept[#kept + 1] = id
      end
    end
    if gone > 0 then
      redis.call('DEL', queue)
      for _, id in ipairs(kept) do
        redis.call('RPUSH', queue, id)
      end
      redis.call('HINCRBY', COUNTERS, 'parked', -gone)
    end
  end
end

local function drop_waiting()
  for _, id in ipairs(redis.call('ZRANGE', WAITING, 0, -1)) do
    if drops(id) then
      redis.call('ZREM', WAITING, id)
      forget(id)
    end
  end
end

local function drop_pending(pending)
  for _, row in ipairs(pending) do
    local id = row[1]
    if redis.call('ZSCORE', WAITING, id) or known(id, ':body') then
      -- It waits too, because its group was made again: one place is enough.
      redis.call('XACK', STREAM, GROUP, id)
    elseif drops(id) then
      redis.call('XACK', STREAM, GROUP, id)
      forget(id)
    end
  end
end

local place = place_of_group()
if type(place) == 'table' then
  return place
end
even_when_full()
target = within(target)
local arrived = true
if rank(place) < rank(target) then
  place, arrived = skip(place)
else
  place = target
end
redis.call('XGROUP', 'SETID', STREAM, GROUP, place)
if arrived then
  drop_parked()
  -- Before the waiting: forgetting one of those may let another of its key wait.
  local pending = redis.call('XPENDING', STREAM, GROUP, '-', '+', 1000000)
  drop_pending(pending)
  drop_waiting()
end
if skipped > 0 then
  redis.call('HINCRBY', COUNTERS, 'skipped', skipped)
end
return {arrived and 0 or 1, skipped, again, place}
