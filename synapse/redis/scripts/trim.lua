-- Trim a stream to its limits, and count the unacknowledged events that its groups lose.
-- KEYS: the stream, its counters, the last moves of its groups, then the counters of each group named in ARGV.
-- ARGV: the number of entries to keep; the age to keep in milliseconds, 0 for any; the number of entries beyond which
--       unacknowledged ones are trimmed, too, 0 for never; the silence in milliseconds after which a group holds
--       nothing back; the greatest number of entries to trim in this call; then for each group its name, and 1 when it
--       is durable.
-- Reply: the number of trimmed entries; 1 when there is more to do at once; the number of entries left; milliseconds
--        until the oldest of them is too old, or -1; the names of the stream's groups. When a group is not named in
--        ARGV, its counters are not declared as a key, and the call ends before anything is trimmed.
local stream, stats, pins = KEYS[1], KEYS[2], KEYS[3]
local max_length, max_age, hard_length = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local pin_for, left = tonumber(ARGV[4]), tonumber(ARGV[5])
local more, total = false, 0

-- The number of pending entries of a group that one call examines: each is looked up with its content, to see whether
-- it exists.
local PAGE = 100
local LARGEST = '18446744073709551615'
local END = LARGEST .. '-' .. LARGEST

-- An id has 128 bits and Lua's numbers have 53, so ids are compared as texts of equal length, and incremented as
-- digits.
local function rank(id)
  local ms, seq = id:match('^(%d+)%-(%d+)$')
  return string.rep('0', 20 - #ms) .. ms .. string.rep('0', 20 - #seq) .. seq
end

local function plus_one(number)
  local head, digit, nines = number:match('^(%d-)([0-8]?)(9*)$')
  return head .. (tonumber(digit) or 0) + 1 .. string.rep('0', #nines)
end

local function after(id)
  local ms, seq = id:match('^(%d+)%-(%d+)$')
  if seq ~= LARGEST then
    return ms .. '-' .. plus_one(seq)
  end
  return ms == LARGEST and END or plus_one(ms) .. '-0'
end

local function earlier(one, other)
  return rank(one) < rank(other) and one or other
end

local function oldest()
  local entry = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  return entry and entry[1]
end

local function groups_of_stream()
  local declared, groups = {}, {}
  for i = 1, #KEYS - 3 do
    declared[ARGV[4 + 2 * i]] = {counters = KEYS[3 + i], durable = ARGV[5 + 2 * i] == '1'}
  end
  for i, row in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local info = {}
    for at = 1, #row, 2 do
      info[row[at]] = row[at + 1]
    end
    local group = declared[info.name] or {}
    group.name, group.pending, group.delivered = info.name, info.pending, info['last-delivered-id']
    group.unread, group.lost, group.held = after(group.delivered), {}, {}
    groups[i] = group
  end
  return groups
end

-- Return the time when the group last moved, as far as it is known. The group's position and pending entries are
-- compared with the recorded ones. Its consumers are read only when that was long ago, because there may be thousands.
local function last_moved(group, row, now)
  local time, place = string.match(row or '', '^(%d+) (.*)$')
  local moved = tonumber(time)
  if not moved or moved > now or place ~= group.place then
    return now
  end
  if now - moved >= pin_for / 24 then
    for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group.name)) do
      for at = 1, #consumer, 2 do
        if consumer[at] == 'idle' then
          moved = math.max(moved, now - consumer[at + 1])
        end
      end
    end
  end
  return moved
end

-- Set for each group whether it pins entries. Return the commands that update the recorded positions.
local function observe(groups, now)
  local rows, writes, undecided = {}, {}, {}
  local known = redis.call('HGETALL', pins)
  for at = 1, #known, 2 do
    rows[known[at]] = known[at + 1]
  end
  for _, group in ipairs(groups) do
    group.pins = group.durable
    if not group.durable then
      undecided[group.name] = true
      group.place = string.format('%.0f ', group.pending) .. group.delivered
      local moved = last_moved(group, rows[group.name], now)
      group.pins = now - moved < pin_for
      local row = string.format('%.0f ', moved) .. group.place
      if row ~= rows[group.name] then
        writes[#writes + 1] = {'HSET', pins, group.name, row}
      end
    end
  end
  for name in pairs(rows) do
    if not undecided[name] then
      writes[#writes + 1] = {'HDEL', pins, name}
    end
  end
  return writes
end

-- A pending entry stays pending when it is deleted from the stream, so it has to be looked up.
local function is_there(id)
  return #redis.call('XRANGE', stream, id, id) > 0
end

-- Return the first id in the stream that the group has not acknowledged, pending or unread.
local function owed_from(group, first)
  if group.pending == 0 then
    return group.unread
  end
  local page = redis.call('XPENDING', stream, group.name, first, '+', PAGE)
  for _, row in ipairs(page) do
    if is_there(row[1]) then
      return earlier(row[1], group.unread)
    end
  end
  return #page < PAGE and group.unread or earlier(after(page[PAGE][1]), group.unread)
end

-- Remove up to `most` of the oldest entries below the id `before`, and return their number. Whole nodes of the stream's
-- tree are dropped unread; only in the last one, which holds a few kilobytes, ids are looked up.
local function remove(before, most)
  local removed = redis.call('XTRIM', stream, 'MINID', '~', before, 'LIMIT', most)
  if removed < most then
    local rest = redis.call('XRANGE', stream, '-', '(' .. before, 'COUNT', most - removed)
    if #rest > 0 then
      removed = removed + redis.call('XTRIM', stream, 'MINID', '=', after(rest[#rest][1]))
    end
  end
  return removed
end

-- Collect the group's pending entries below `before`, which a trim would remove. Return the id at which the trim has to
-- end, because at most one page of them is examined.
local function note_pending(group, first, before)
  group.held = {}
  if group.pending == 0 then
    return before
  end
  local page = redis.call('XPENDING', stream, group.name, first, '(' .. before, PAGE)
  for _, row in ipairs(page) do
    -- A group that was moved back can have pending entries that are also unread: those are counted as unread.
    if rank(row[1]) < rank(group.unread) and is_there(row[1]) then
      group.held[#group.held + 1] = rank(row[1])
    end
  end
  if #page < PAGE then
    return before
  end
  more = true
  return earlier(before, after(page[PAGE][1]))
end

-- Trim up to `most` of the oldest entries below `before`, and add the unacknowledged ones to `field` of each losing
-- group. Unread entries are counted by the replies of XTRIM between the positions of the losing groups: no entry is
-- read.
local function cut(before, most, losers, field)
  local first = oldest()
  most = math.min(most, left)
  if most <= 0 or not first or rank(before) <= rank(first) then
    return
  end
  for _, group in ipairs(losers) do
    before = note_pending(group, first, before)
  end
  local from, gone, stops = rank(first), 0, {before}
  for _, group in ipairs(losers) do
    -- Most losing groups were left long ago and have read none of these entries: they need no stop of their own.
    if rank(group.unread) > from and rank(group.unread) < rank(before) then
      stops[#stops + 1] = group.unread
    end
  end
  table.sort(stops, function(one, other) return rank(one) < rank(other) end)
  for _, stop in ipairs(stops) do
    local removed = gone < most and remove(stop, most - gone) or 0
    for _, group in ipairs(losers) do
      if rank(group.unread) <= from then
        group.lost[field] = (group.lost[field] or 0) + removed
      end
    end
    from, gone = rank(stop), gone + removed
  end
  local reached = rank(oldest() or END)
  for _, group in ipairs(losers) do
    for _, held in ipairs(group.held) do
      group.lost[field] = (group.lost[field] or 0) + (held < reached and 1 or 0)
    end
  end
  left, total = left - gone, total + gone
  more = more or left == 0
end

local function trim(groups, now)
  local first = oldest()
  local expired = string.format('%.0f-0', max_age > 0 and math.max(now - max_age, 0) or 0)
  if not first or redis.call('XLEN', stream) <= max_length and rank(expired) <= rank(first) then
    return
  end
  local floor, silent = END, {}
  for _, group in ipairs(groups) do
    if group.pins then
      floor = earlier(floor, owed_from(group, first))
    else
      silent[#silent + 1] = group
    end
  end
  cut(earlier(floor, expired), left, silent, 'lost_silent')
  cut(floor, redis.call('XLEN', stream) - max_length, silent, 'lost_silent')
  if hard_length > 0 and not more then
    cut(END, redis.call('XLEN', stream) - hard_length, groups, 'lost_trimmed')
  end
end

-- Return the id below which all entries are gone: the id of the oldest entry, or the next one to come in an empty
-- stream.
local function cut_below()
  local first = oldest()
  if first then
    return first
  end
  local info = redis.call('XINFO', 'STREAM', stream)
  for at = 1, #info, 2 do
    if info[at] == 'last-generated-id' then
      return after(info[at + 1])
    end
  end
end

local function count(groups)
  if total == 0 then
    return
  end
  redis.call('HINCRBY', stats, 'trimmed', total)
  local below = cut_below()
  for _, group in ipairs(groups) do
    for field, lost in pairs(group.lost) do
      if lost > 0 then
        redis.call('HINCRBY', group.counters, field, lost)
        -- Scripts that later miss a pending entry below this id must not count it again.
        redis.call('HSET', group.counters, 'lost_below', below)
      end
    end
  end
end

local kind = redis.call('TYPE', stream).ok
if kind ~= 'stream' and kind ~= 'none' then
  return redis.error_reply('WRONGTYPE the key holds a ' .. kind .. ', not a stream')
end
local groups, names = kind == 'stream' and groups_of_stream() or {}, {}
for i, group in ipairs(groups) do
  names[i] = group.name
  more = more or not group.counters
end
if more then
  return {0, 1, 0, -1, names}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local writes = observe(groups, now)
trim(groups, now)
count(groups)
for _, write in ipairs(writes) do
  -- Written last, and errors are ignored: when Redis is out of memory it refuses these writes, but the trim must
  -- succeed.
  redis.pcall(unpack(write))
end
local rest = max_age > 0 and oldest()
local expires = rest and math.max(0, tonumber(rest:match('^%d+')) + max_age - now) or -1
return {total, more and 1 or 0, redis.call('XLEN', stream), expires, names}
