-- Read the place of one event in the group, and its lines in the delivery log. Nothing is changed.
-- ARGV, after those of group.lua: the event's id.
-- Reply: {now; {consumer, idle, deliveries} when it is pending, else {}; its due time; of its copy, if there is one,
--        the digest, attempts, token and recorded attempts; when it is blocked, the event with the turn, and the number
--        of events before it in the queue; the id after which the group began; the number of events that were skipped,
--        discarded or lost, and the id up to which they may have no line; the number of dead letters that are not
--        indexed by event; its lines in the delivery log; the lines of moves over it; then for each of its dead letters
--        the id and the fields, with the digest `form` in place of the copy}. Missing values are nil.
local id = ARGV[3]

local rows = redis.pcall('XPENDING', STREAM, GROUP, id, id, 1)
if rows.err then
  -- A group that was deleted may have left dead letters and copies.
  rows = {}
end
local pending = rows[1] and {rows[1][2], rows[1][3], rows[1][4]} or {}

-- The position in a longer queue is not computed.
local LONGEST = 10000

local body = known(id, ':body')
local holder, ahead = false, false
if is_behind(id) then
  local key = known(id, ':key')
  holder = redis.call('HGET', LOCKS, key)
  ahead = redis.call('LPOS', queue_of(key), id, 'MAXLEN', LONGEST)
end

local counts = redis.call(
  'HMGET', COUNTERS, 'began', 'doubt', 'lost_below', 'skipped', 'discarded', 'lost_trimmed', 'lost_silent')
local over, doubtful = 0, counts[2]
for i = 4, 7 do
  over = over + (tonumber(counts[i]) or 0)
end
-- The janitor counts the events that it trims, but writes no lines.
if counts[3] and not (doubtful and rank(doubtful) > rank(counts[3])) then
  doubtful = counts[3]
end

local moves = {}
for _, line in ipairs(redis.call('ZRANGE', LOG, '[~', '+', 'BYLEX')) do
  local from, to = line:match('^%S+ %S+ (%S+) (%S+)')
  if (rank(from) < rank(id)) ~= (rank(to) < rank(id)) then
    moves[#moves + 1] = line
  end
end

local reply = {
  text(now()), pending, redis.call('ZSCORE', WAITING, id), body and redis.sha1hex(body),
  known(id, ':att'), known(id, ':tok'), known(id, ':hist'), holder, ahead, counts[1], over, doubtful,
  redis.call('XLEN', DEAD) - redis.call('HLEN', LETTERS),
  redis.call('ZRANGE', LOG, '[' .. rank(id) .. ' ', '(' .. rank(id) .. '!', 'BYLEX'), moves}
for _, letter in ipairs(letters_of(id)) do
  local entry = redis.call('XRANGE', DEAD, letter, letter)[1]
  if entry then
    local parts = {}
    for i = 1, #entry[2], 2 do
      local name, value = entry[2][i], entry[2][i + 1]
      if name == 'body' then
        name, value = 'form', redis.sha1hex(value)
      end
      parts[#parts + 1], parts[#parts + 2] = name, value
    end
    reply[#reply + 1] = {letter, parts}
  end
end
return reply
