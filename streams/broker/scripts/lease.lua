-- Give out waiting events that are due. They stay where they are, due again when the lease ends, until they are settled.
-- One that has no attempt left, because nobody told how the last one ended, is set aside.
-- ARGV, after those of group.lua: token of this lease (no other lease has it; it ends with a space and the consumer),
--       limit, lease (milliseconds), the bytes after which no more are given, attempts that an event has (0: any).
-- Reply: {lost, set aside, milliseconds until the next is due or -1, events that wait or are parked, then {id, body,
--        attempt} for each}.
local token, limit, lease, bytes_left, most =
  ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

even_when_full()
local moment = now()
local reply = {0, 0, -1, 0}

local function died_every_time(id)
  for _, row in ipairs(attempts_of(id)) do
    if row:sub(-#NO_ANSWER) ~= NO_ANSWER then
      return false
    end
  end
  return true
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', WAITING, '-inf', text(moment), 'LIMIT', 0, limit)) do
  local body = known(id, ':body')
  if not body then
    -- Somebody removed its copy: there is nothing to deliver, and nothing to wait for.
    redis.call('ZREM', WAITING, id)
    forget(id)
    redis.call('HINCRBY', COUNTERS, 'lost_trimmed', 1)
    reply[1] = reply[1] + 1
  else
    local attempts, holder = tonumber(known(id, ':att')) or 0, known(id, ':tok') or ''
    local last_after_silence = holder ~= '' and attempts + 1 == most
    bytes_left = bytes_left - #body
    -- What may have ended those who had it is given out alone for its last attempt: nothing else shall go with it.
    if #reply > 4 and (bytes_left < 0 or last_after_silence) then
      break
    end
    if holder ~= '' and holder ~= NOBODY then
      note_attempt(id, attempts, '-', NO_ANSWER)
      redis.call('HINCRBY', COUNTERS, 'expired', 1)
    end
    if most > 0 and attempts >= most then
      local how = died_every_time(id) and 'every attempt' or 'the last attempt'
      bury(id, body, attempts, holder ~= '' and 'worker died on ' .. how or 'no attempt is left')
      reply[2] = reply[2] + 1
    else
      redis.call('HSET', MESSAGES, id .. ':tok', token, id .. ':att', attempts + 1)
      redis.call('ZADD', WAITING, text(moment + lease), id)
      reply[#reply + 1] = {id, body, attempts + 1}
      if last_after_silence then
        break
      end
    end
  end
end
local following = redis.call('ZRANGE', WAITING, 0, 0, 'WITHSCORES')
if following[2] then
  reply[3] = math.max(0, math.ceil(tonumber(following[2]) - moment))
end
reply[4] = redis.call('ZCARD', WAITING) + (tonumber(redis.call('HGET', COUNTERS, 'parked')) or 0)
return reply
