-- What the scripts of delivery have in common. It stands before the text of each.
-- KEYS: stream, waiting, messages, counters, locks, dead letters, dead letters by event.
-- ARGV: group, how the names of its queues begin. A queue is the one kind of key that cannot be declared: which one is
--       needed turns out only here. It lies in the stream's slot all the same.
local STREAM, WAITING, MESSAGES, COUNTERS, LOCKS, DEAD = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local LETTERS = KEYS[7]
local GROUP, QUEUES = ARGV[1], ARGV[2]

-- What is noted of an attempt that nobody told the end of, and in place of the token of whoever made it.
local NO_ANSWER, NOBODY = 'nobody answered before the lease ended', '-'
local MOST_ATTEMPTS = 10

-- A Redis that is full refuses a script's first write, if that one could need memory, and none after it. What moves
-- events must go on then, so this comes first: it needs none, and changes nothing.
local function even_when_full()
  redis.pcall('HDEL', COUNTERS, '')
end

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function text(number)
  return string.format('%.0f', number)
end

-- An id has 128 bits and Lua's numbers have 53: ids are compared as texts of one length.
local function rank(id)
  local ms, seq = id:match('^(%d+)%-?(%d*)$')
  return string.rep('0', 20 - #ms) .. ms .. string.rep('0', 20 - #seq) .. seq
end

local function known(id, kind)
  return redis.call('HGET', MESSAGES, id .. kind)
end

local function netstring(part)
  return #part .. ':' .. part .. ','
end

-- Names and values as netstrings. Never unpacked: an entry can have more of them than Lua's stack has places.
local function copy_of(entry)
  local parts = {}
  for i, part in ipairs(entry[2]) do
    parts[i] = netstring(part)
  end
  return table.concat(parts)
end

local function entry_of(id)
  return redis.call('XRANGE', STREAM, id, id)[1]
end

-- Of a key, one event has the turn (LOCKS). The others that were read lie behind it in a queue, in their order: parked,
-- or given out together with it.
local function queue_of(key)
  return QUEUES .. key .. ':' .. GROUP
end

local function is_behind(id)
  local key = known(id, ':key')
  local holder = key and redis.call('HGET', LOCKS, key)
  return holder and holder ~= id
end

-- What is parked has a copy, and is not due at any time.
local function is_parked(id)
  return known(id, ':body') and not redis.call('ZSCORE', WAITING, id)
end

-- Let an event wait, with what is to be known of it.
local function keep(id, body, attempts, token, due)
  redis.call('HSET', MESSAGES, id .. ':body', body, id .. ':att', attempts, id .. ':tok', token)
  redis.call('ZADD', WAITING, text(due), id)
end

-- Let an event, whose copy is there and which nobody has any more, be due at a time; behind another of its key it is
-- parked until that one has ended.
local function let_wait(id, due)
  if is_behind(id) then
    redis.call('ZREM', WAITING, id)
    redis.call('HINCRBY', COUNTERS, 'parked', 1)
  else
    redis.call('ZADD', WAITING, text(due), id)
  end
end

-- The same for an event that was pending, which has no copy yet.
local function put_back(id, body, attempts, token, due)
  redis.call('HSET', MESSAGES, id .. ':body', body, id .. ':att', attempts, id .. ':tok', token)
  let_wait(id, due)
end

-- An event that is parked, if this is one, has the turn of its key: it is due now. Any other is in a consumer's hand.
local function make_due(id)
  if id and is_parked(id) then
    redis.call('ZADD', WAITING, text(now()), id)
    redis.call('HINCRBY', COUNTERS, 'parked', -1)
  end
end

-- Give the turn of a key to the next event.
local function pass_on(key)
  local following = redis.call('LPOP', queue_of(key))
  if following then
    redis.call('HSET', LOCKS, key, following)
  else
    redis.call('HDEL', LOCKS, key)
  end
  make_due(following)
end

-- The group has no more to do with an event, which is not parked; `unqueued` when it is in no queue any more.
local function forget(id, unqueued)
  local key = known(id, ':key')
  if key and redis.call('HGET', LOCKS, key) == id then
    pass_on(key)
  elseif key and not unqueued then
    redis.call('LREM', queue_of(key), 1, id)
  end
  redis.call(
    'HDEL', MESSAGES, id .. ':body', id .. ':att', id .. ':tok', id .. ':key', id .. ':hist', id .. ':first')
end

-- An event is gone that the group still had to settle. What lies below the id that the janitor left, it has counted.
local function lose(id)
  redis.call('ZREM', WAITING, id)
  forget(id)
  if rank(id) >= rank(redis.call('HGET', COUNTERS, 'lost_below') or '0-0') then
    redis.call('HINCRBY', COUNTERS, 'lost_trimmed', 1)
  end
end

-- The attempts that are noted of an event, each `<when> <number> <milliseconds or -> <error>`, oldest first.
local function attempts_of(id)
  local noted, rows, at = known(id, ':hist') or '', {}, 1
  while at <= #noted do
    local colon = noted:find(':', at, true)
    local ends = colon + tonumber(noted:sub(at, colon - 1))
    rows[#rows + 1] = noted:sub(colon + 1, ends)
    at = ends + 2
  end
  return rows
end

local function note_attempt(id, number, took, error)
  local moment, rows = text(now()), attempts_of(id)
  rows[#rows + 1] = moment .. ' ' .. number .. ' ' .. took .. ' ' .. error
  local kept = {}
  for i = math.max(1, #rows - MOST_ATTEMPTS + 1), #rows do
    kept[#kept + 1] = netstring(rows[i])
  end
  redis.call('HSET', MESSAGES, id .. ':hist', table.concat(kept))
  redis.call('HSETNX', MESSAGES, id .. ':first', moment)
end

-- Count a failed attempt by its kind, beside `retried` or `dead`.
local function count_failure(kind)
  redis.call('HINCRBY', COUNTERS, 'failed:' .. kind, 1)
end

-- The ids of an event's dead letters: one, unless the group was moved back and the event died again.
local function letters_of(id)
  local ids = {}
  for letter in (redis.call('HGET', LETTERS, id) or ''):gmatch('%S+') do
    ids[#ids + 1] = letter
  end
  return ids
end

-- An event has a dead letter no more.
local function forget_letter(id, gone)
  local left = {}
  for _, letter in ipairs(letters_of(id)) do
    if letter ~= gone then
      left[#left + 1] = letter
    end
  end
  if #left > 0 then
    redis.call('HSET', LETTERS, id, table.concat(left, ' '))
  else
    redis.call('HDEL', LETTERS, id)
  end
end

-- Set an event aside: nothing more is tried. `body` is its copy.
local function bury(id, body, attempts, error)
  local moment, ids = text(now()), letters_of(id)
  ids[#ids + 1] = redis.call(
    'XADD', DEAD, '*', 'id', id, 'body', body, 'err', error, 'att', attempts, 'hist', known(id, ':hist') or '',
    'first', known(id, ':first') or moment, 'last', moment)
  redis.call('HSET', LETTERS, id, table.concat(ids, ' '))
  redis.call('ZREM', WAITING, id)
  forget(id)
  redis.call('HINCRBY', COUNTERS, 'dead', 1)
end

