-- Extend the leases of events in flight: each ends after the given time from now.
-- ARGV, after those of group.lua: the first word of a new token, consumer ("" for any holder), lease (milliseconds),
--       ids.
-- Reply: for each event 1, or 0 when this consumer does not hold it; or Redis' error.
-- The time limit of pending events is the same for the whole group, so a pending event becomes a leased one with a
-- copy.
local word, consumer, lease = ARGV[3], ARGV[4], tonumber(ARGV[5])

-- Extend the lease of an event. Return 1, or 0 when the consumer does not hold the event.
local function leased(id)
  local token = known(id, ':tok') or ''
  local holder = token:match('^%S+ (.*)$')
  if not holder or (consumer ~= '' and holder ~= consumer) then
    return 0
  end
  redis.call('ZADD', WAITING, text(now() + lease), id)
  return 1
end

even_when_full()
local answers = {}
for i = 6, #ARGV do
  local id = ARGV[i]
  local rows = redis.pcall('XPENDING', STREAM, GROUP, id, id, 1)
  if rows.err then
    return rows
  end
  -- An event whose entry was trimmed stays pending, so that reclaiming it counts it as lost.
  local row, entry = rows[1], rows[1] and entry_of(id)
  if not row then
    answers[#answers + 1] = leased(id)
  elseif entry and (consumer == '' or row[2] == consumer) then
    redis.call('XACK', STREAM, GROUP, id)
    keep(id, copy_of(entry), row[4], word .. ' ' .. row[2], now() + lease)
    answers[#answers + 1] = 1
  else
    answers[#answers + 1] = 0
  end
end
return answers
