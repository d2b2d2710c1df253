-- Give back events that were read and not begun: they wait, due now. The delivery that was none is not an attempt.
-- KEYS: stream, waiting, messages, counters.  ARGV: group, consumer, ids.
-- Reply: how many were given back, or Redis' error. What the consumer does not have is left alone, and so is a pending
--        event whose entry was trimmed: taking it back will count it.
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))

-- From the pending entries to the waiting events, with a copy, as taking back does it (reap.lua).
local function move(id, attempts)
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  if entry then
    local body = {}
    for i, part in ipairs(entry[2]) do
      body[i] = #part .. ':' .. part .. ','
    end
    redis.call('HSET', KEYS[3], id .. ':body', table.concat(body), id .. ':att', attempts, id .. ':tok', '')
  elseif redis.call('HEXISTS', KEYS[3], id .. ':body') == 0 then
    return 0
  end
  redis.call('XACK', KEYS[1], ARGV[1], id)
  redis.call('ZADD', KEYS[2], now, id)
  return 1
end

local given_back = 0
for i = 3, #ARGV do
  local id = ARGV[i]
  if redis.call('HGET', KEYS[3], id .. ':tok') == ARGV[2] then
    redis.call('HINCRBY', KEYS[3], id .. ':att', -1)
    redis.call('HSET', KEYS[3], id .. ':tok', '')
    redis.call('ZADD', KEYS[2], now, id)
    given_back = given_back + 1
  else
    local rows = redis.pcall('XPENDING', KEYS[1], ARGV[1], id, id, 1, ARGV[2])
    if rows.err then
      return rows
    end
    if rows[1] then
      given_back = given_back + move(id, rows[1][4] - 1)
    end
  end
end
return given_back
