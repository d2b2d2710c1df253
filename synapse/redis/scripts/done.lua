-- Acknowledge events that were delivered or filtered out. Their records in the group are deleted.
-- ARGV, after those of group.lua: the name of the counter to raise, the number of events, 1 when tokens are given,
--       consumer, the duration of an attempt (milliseconds) or "-", the ids; then, with tokens, the token of each
--       event's lease ("" when it was read and is pending), and events of one key are then acknowledged only in their
--       turn. With a delivery log, the number of each attempt follows, or one number for all.
-- Reply: the number of events that were unacknowledged; only those are counted.
local count, has_tokens, consumer, took, settled = tonumber(ARGV[4]), ARGV[5] == '1', ARGV[6], ARGV[7], 0
local last_id = 7 + count

-- The lines for the delivery log, which are written together.
local scored_lines = {}
if LOG then
  even_when_full()
end
local nth = LOG and text(redis.call('HINCRBY', COUNTERS, 'logged', 1))
local line_rest = LOG and ' ' .. nth .. ' ' .. text(now()) .. ' ' .. ARGV[3] .. ' '
local line_end = ' ' .. took .. ' - - ' .. #consumer .. ':' .. consumer .. ','
local attempts_from = last_id + (has_tokens and count or 0)
local one_rest = #ARGV == attempts_from + 1 and LOG and line_rest .. ARGV[#ARGV] .. line_end

local function log_done(i)
  if LOG then
    -- The rank of the id, inlined: computing it is most of the cost of a line.
    local ms, seq = ARGV[i]:match('^(%d+)%-(%d+)$')
    local at, rest = #scored_lines, one_rest or line_rest .. ARGV[attempts_from + i - 7] .. line_end
    scored_lines[at + 1], scored_lines[at + 2] = 0, zeros_before(ms) .. ms .. zeros_before(seq) .. seq .. rest
  end
end

local function erase(ids, first, last)
  local fields = {}
  for i = first, last do
    for _, kind in ipairs({':body', ':att', ':tok', ':key', ':hist', ':first'}) do
      fields[#fields + 1] = ids[i] .. kind
    end
  end
  redis.call('HDEL', MESSAGES, unpack(fields))
end

-- Acknowledge in order: a consumer that acknowledges an event which it lost must not end it while another consumer
-- holds it or waits for it. The holders of the turns, by key, are written once, after all events.
local function settle_in_order()
  local turns, over = {}, {}
  for i = 8, last_id do
    local id, token = ARGV[i], has_tokens and ARGV[i + count]
    local noted = redis.call('HMGET', MESSAGES, id .. ':key', id .. ':tok', id .. ':body')
    local key, holder = noted[1], noted[2] or ''
    if key and turns[key] == nil then
      turns[key] = redis.call('HGET', LOCKS, key)
    end
    -- A consumer whose lease ended cannot acknowledge an event that another consumer holds by now: the next event of
    -- the key would begin, and the other consumer might begin this one after it. Nor can it acknowledge the events
    -- behind such an event, which are to be delivered after it.
    local is_anothers = holder ~= '' and holder ~= NOBODY and holder ~= token
    local is_early = key and turns[key] and turns[key] ~= id
    if not (token and (is_anothers or is_early)) then
      local had = redis.call('XACK', STREAM, GROUP, id)
      if had == 0 or noted[3] then
        had = had + redis.call('ZREM', WAITING, id)
      end
      if had > 0 then
        over[#over + 1] = id
        log_done(i)
        if key and turns[key] == id then
          turns[key] = redis.call('LPOP', queue_of(key))
          make_due(turns[key])
        elseif key then
          redis.call('LREM', queue_of(key), 1, id)
        end
      end
    end
  end
  for key, id in pairs(turns) do
    if id then
      redis.call('HSET', LOCKS, key, id)
    else
      redis.call('HDEL', LOCKS, key)
    end
  end
  for first = 1, #over, 500 do
    erase(over, first, math.min(first + 499, #over))
  end
  return #over
end

if redis.call('EXISTS', LOCKS) == 1 then
  settled = settle_in_order()
else
  -- In chunks, because Lua's stack ends near 8,000 values.
  for first = 8, last_id, 500 do
    local last = math.min(first + 499, last_id)
    local had = redis.call('XACK', STREAM, GROUP, unpack(ARGV, first, last))
    had = had + redis.call('ZREM', WAITING, unpack(ARGV, first, last))
    settled = settled + had
    -- When some of these events were acknowledged before, it is unknown which, so none gets a line: a line could
    -- contradict an earlier one.
    for i = first, had == last - first + 1 and last or first - 1 do
      log_done(i)
    end
    if redis.call('EXISTS', MESSAGES) == 1 then
      erase(ARGV, first, last)
    end
  end
end
for first = 1, #scored_lines, 1000 do
  redis.call('ZADD', LOG, unpack(scored_lines, first, math.min(first + 999, #scored_lines)))
end
if #scored_lines > 0 then
  bound_log()
end
if settled > 0 then
  redis.call('HINCRBY', COUNTERS, ARGV[3], settled)
  if ARGV[3] == 'done' then
    redis.call('HSET', COUNTERS, 'last_done', text(now()))
  end
end
return settled
