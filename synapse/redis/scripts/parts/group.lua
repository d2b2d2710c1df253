-- The common part of the delivery scripts, which precedes the text of each.
-- KEYS: stream, waiting, messages, counters, locks, dead letters, dead letters by event; then the delivery log, if
--       lines are to be written.
-- ARGV: group, the common prefix of its queues. Queues are the one kind of key that cannot be declared, because only
--       the script finds out which one it needs. They are in the stream's slot, too.
local STREAM, WAITING, MESSAGES, COUNTERS, LOCKS, DEAD = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local LETTERS, LOG = KEYS[7], KEYS[8]
local GROUP, QUEUES = ARGV[1], ARGV[2]

-- The error of an attempt without a reported outcome, and the token of an event without a consumer after such an
-- attempt.
local NO_ANSWER, NOBODY = 'nobody answered before the lease ended', '-'
local MOST_ATTEMPTS = 10

-- When Redis is out of memory, it refuses a script's first write if that write could need memory, and no later write.
-- Scripts that move events must work then, so this write comes first: it needs no memory and changes nothing.
local function even_when_full()
  redis.pcall('HDEL', COUNTERS, '')
end

-- Read the time once: in Redis 6.2 the clock advances within a script.
local this_moment
local function now()
  if not this_moment then
    local time = redis.call('TIME')
    this_moment = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return this_moment
end

local function text(number)
  return string.format('%.0f', number)
end

-- An id has 128 bits and Lua's numbers have 53, so ids are compared as texts of equal length.
local zeros = {}
local function zeros_before(digits)
  local length = #digits
  zeros[length] = zeros[length] or string.rep('0', 20 - length)
  return zeros[length]
end

local function rank(id)
  local ms, seq = id:match('^(%d+)%-?(%d*)$')
  return zeros_before(ms) .. ms .. zeros_before(seq) .. seq
end

-- The delivery log is a sorted set of lines: those about events in the order of their ids, then those about moves of
-- the group. The line of an event is `<rank of its id> <number of the line> <time> <kind of line> <attempt>
-- <milliseconds> <HTTP status> <kind of failure> <consumer or actor, a netstring><error>`, with "-" for unknown values.
-- The line of a move is `~<number of the line> <time> <from> <to> <actor>`. The lines of the oldest events are removed
-- first.
local MOST_LINES, SLACK, MOST_MOVES, LONGEST_KEPT = 20000, 200, 100, 30 * 24 * 3600 * 1000

local function id_at(line)
  local function plain(digits)
    return digits:match('^0*(%d+)$')
  end
  return plain(line:sub(1, 20)) .. '-' .. plain(line:sub(21, 40))
end

-- Record that events up to an id may have been passed over without a line in the delivery log.
local function doubt(id)
  local noted = redis.call('HGET', COUNTERS, 'doubt')
  if not noted or rank(id) > rank(noted) then
    redis.call('HSET', COUNTERS, 'doubt', id)
  end
end

local function bound_log()
  local over = redis.call('ZCARD', LOG) - MOST_LINES
  if over > SLACK then
    doubt(id_at(redis.call('ZRANGE', LOG, over - 1, over - 1)[1]))
    redis.call('ZREMRANGEBYRANK', LOG, 0, over - 1)
  end
  local oldest = text(now() - LONGEST_KEPT)
  if redis.call('ZREMRANGEBYLEX', LOG, '-', '(' .. rank(oldest)) > 0 then
    doubt(oldest .. '-0')
  end
end

-- Write a line about an event. `about` may have attempt, took, status, kind, by and error.
local function log(id, what, about)
  if LOG then
    local nth = redis.call('HINCRBY', COUNTERS, 'logged', 1)
    redis.call(
      'ZADD', LOG, 0,
      rank(id) .. ' ' .. text(nth) .. ' ' .. text(now()) .. ' ' .. what .. ' ' .. (about.attempt or '-') .. ' '
        .. (about.took or '-') .. ' ' .. (about.status or '-') .. ' ' .. (about.kind or '-') .. ' '
        .. #(about.by or '') .. ':' .. (about.by or '') .. ',' .. (about.error or ''))
    -- Every 20th line is enough to keep the log bounded.
    if nth % 20 == 0 then
      bound_log()
    end
  end
end

-- Record that an event leaves the group without being acknowledged.
local function pass_over(id, what, about)
  if LOG then
    log(id, what, about)
  else
    doubt(id)
  end
end

local function known(id, kind)
  return redis.call('HGET', MESSAGES, id .. kind)
end

local function netstring(part)
  return #part .. ':' .. part .. ','
end

-- Encode names and values as netstrings, in a loop: an entry can have more values than Lua's stack holds.
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

-- One event of a key has the turn (LOCKS). The later ones that were read are in a queue in their order, blocked or
-- leased together with it.
local function queue_of(key)
  return QUEUES .. key .. ':' .. GROUP
end

local function is_behind(id)
  local key = known(id, ':key')
  local holder = key and redis.call('HGET', LOCKS, key)
  return holder and holder ~= id
end

-- A blocked event has a copy, and no due time.
local function is_parked(id)
  return known(id, ':body') and not redis.call('ZSCORE', WAITING, id)
end

-- Let an event wait, with its copy, attempts and token.
local function keep(id, body, attempts, token, due)
  redis.call('HSET', MESSAGES, id .. ':body', body, id .. ':att', attempts, id .. ':tok', token)
  redis.call('ZADD', WAITING, text(due), id)
end

-- Set the due time of an event that has a copy and no holder. Behind another event of its key, it is blocked instead.
local function let_wait(id, due)
  if is_behind(id) then
    redis.call('ZREM', WAITING, id)
    redis.call('HINCRBY', COUNTERS, 'parked', 1)
  else
    redis.call('ZADD', WAITING, text(due), id)
  end
end

-- Store a copy of an event that was pending, and set its due time.
local function put_back(id, body, attempts, token, due)
  redis.call('HSET', MESSAGES, id .. ':body', body, id .. ':att', attempts, id .. ':tok', token)
  let_wait(id, due)
end

-- Make an event due that now has the turn of its key, if it was blocked. Otherwise it is in flight.
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

-- Delete the records of an event that is finished in this group and not blocked. `unqueued`: it is no longer in a
-- queue.
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

-- Count an unacknowledged event as lost. The janitor has counted those below the id `lost_below` already.
local function lose(id)
  pass_over(id, 'lost', {})
  redis.call('ZREM', WAITING, id)
  forget(id)
  if rank(id) >= rank(redis.call('HGET', COUNTERS, 'lost_below') or '0-0') then
    redis.call('HINCRBY', COUNTERS, 'lost_trimmed', 1)
  end
end

-- Return the recorded attempts of an event, each `<time> <number> <milliseconds or -> <error>`, oldest first. A `*`
-- after the milliseconds means that the event was edited afterwards: the error may quote a value that the copy no
-- longer has.
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

-- Mark the attempts so far as made before an edit of the event.
local function note_edit(id)
  local rows = attempts_of(id)
  for i, row in ipairs(rows) do
    rows[i] = netstring((row:gsub('^(%S+ %S+ [^%s*]+) ', '%1* ')))
  end
  redis.call('HSET', MESSAGES, id .. ':hist', table.concat(rows))
end

-- Count a failed attempt by its kind, in addition to `retried` or `dead`.
local function count_failure(kind)
  redis.call('HINCRBY', COUNTERS, 'failed:' .. kind, 1)
end

-- Return the ids of an event's dead letters: one, unless the group was moved back and the event failed again.
local function letters_of(id)
  local ids = {}
  for letter in (redis.call('HGET', LETTERS, id) or ''):gmatch('%S+') do
    ids[#ids + 1] = letter
  end
  return ids
end

-- Remove a dead letter from the index by event.
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

-- Make an event a dead letter: there are no further attempts. `body` is its copy.
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

