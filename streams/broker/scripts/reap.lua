-- Take back what consumers have had in hand for too long: from the pending entries to the waiting events, each with a
-- copy of its own, so that it outlives a trim. The delivery that came to nothing counts as an attempt.
-- KEYS: stream, waiting, messages, counters.  ARGV: group, idle (milliseconds), limit, consumer ("" for all).
-- Reply: {taken back, lost}, or Redis' error. Lost are entries that were trimmed before their group settled them; those
--        that the janitor trimmed, below the id that it left, it has counted already.

-- An id has 128 bits and Lua's numbers have 53: ids are compared as texts of one length.
local function rank(id)
  local ms, seq = id:match('^(%d+)%-(%d+)$')
  return string.rep('0', 20 - #ms) .. ms .. string.rep('0', 20 - #seq) .. seq
end

local words = {'XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[2], '-', '+', ARGV[3]}
if ARGV[4] ~= '' then
  words[#words + 1] = ARGV[4]
end
local rows = redis.pcall(unpack(words))
if rows.err then
  return rows
end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local counted_below = rank(redis.call('HGET', KEYS[4], 'lost_below') or '0-0')
local moved, lost, uncounted = 0, 0, 0
for _, row in ipairs(rows) do
  local id = row[1]
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  redis.call('XACK', KEYS[1], ARGV[1], id)
  if entry then
    -- Names and values as netstrings. Never unpacked: an entry can have more of them than Lua's stack has places.
    local body = {}
    for i, part in ipairs(entry[2]) do
      body[i] = #part .. ':' .. part .. ','
    end
    redis.call('HSET', KEYS[3], id .. ':body', table.concat(body), id .. ':att', row[4], id .. ':tok', '')
  end
  -- An ordered group has its copy already, from when it read the event.
  if entry or redis.call('HEXISTS', KEYS[3], id .. ':body') == 1 then
    redis.call('ZADD', KEYS[2], now, id)
    moved = moved + 1
  else
    lost = lost + 1
    uncounted = uncounted + (rank(id) < counted_below and 0 or 1)
  end
end
if moved > 0 then
  redis.call('HINCRBY', KEYS[4], 'reaped', moved)
end
if uncounted > 0 then
  redis.call('HINCRBY', KEYS[4], 'lost_trimmed', uncounted)
end
return {moved, lost}
