-- Lease waiting events that are due. They stay waiting, due when the lease ends, until they are acknowledged. An event
-- without attempts left, whose last one had no reported outcome, becomes a dead letter.
-- ARGV, after those of group.lua: the token of this lease (unique; it ends with a space and the consumer), limit, lease
--       (milliseconds), the bytes after which no more events are leased, the number of attempts of an event (0 for
--       any), 1 to lease the events that are blocked behind an event together with it.
-- Reply: {lost, dead, milliseconds until the next event is due or -1, waiting and blocked events, then {id, body,
--        attempt, key ("" for none)} for each leased event}.
local token, limit, lease, bytes_left, most, together =
  ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8] == '1'

if redis.call('ZCARD', WAITING) == 0 then
  return {0, 0, -1, tonumber(redis.call('HGET', COUNTERS, 'parked')) or 0}
end
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

-- Record that an event's last lease, if it had one, ended without a reported outcome.
local function expire(id)
  local holder = known(id, ':tok') or ''
  if holder ~= '' and holder ~= NOBODY then
    local attempt = known(id, ':att') or '0'
    note_attempt(id, attempt, '-', NO_ANSWER)
    log(id, 'silent', {attempt = attempt, by = holder:match('^%S+ (.*)$')})
    redis.call('HINCRBY', COUNTERS, 'expired', 1)
  end
end

-- Return the events that are due. Events that were leased together with an event before them are blocked behind it
-- first.
local function due()
  local ordered, ids, found = redis.call('EXISTS', LOCKS) == 1, {}, {}
  repeat
    found = redis.call('ZRANGEBYSCORE', WAITING, '-inf', text(moment), 'LIMIT', 0, limit)
    for _, id in ipairs(found) do
      if ordered and is_behind(id) and known(id, ':body') then
        expire(id)
        redis.call('HSET', MESSAGES, id .. ':tok', NOBODY)
        let_wait(id, moment)
      else
        ids[#ids + 1] = id
      end
    end
  until #ids > 0 or #found == 0
  return ids
end

-- Lease an event, or make it a dead letter when it has no attempt left. Return whether further events may be leased.
local function give(id, body, parked)
  local attempts, holder = tonumber(known(id, ':att')) or 0, known(id, ':tok') or ''
  local last_after_silence = holder ~= '' and attempts + 1 == most
  bytes_left = bytes_left - #body
  -- An event that may have killed its consumers is leased alone for its last attempt, so that no other event is lost
  -- with it.
  if #reply > 4 and (bytes_left < 0 or last_after_silence) then
    return false
  end
  expire(id)
  if parked then
    redis.call('HINCRBY', COUNTERS, 'parked', -1)
  end
  if most > 0 and attempts >= most then
    local how = died_every_time(id) and 'every attempt' or 'the last attempt'
    local error, kind = 'no attempt is left', 'other'
    if holder ~= '' then
      error, kind = 'worker died on ' .. how, 'worker-died'
    end
    bury(id, body, attempts, error)
    log(id, 'dead', {kind = kind, error = error})
    count_failure(kind)
    reply[2] = reply[2] + 1
    return true
  end
  redis.call('HSET', MESSAGES, id .. ':tok', token, id .. ':att', attempts + 1)
  redis.call('ZADD', WAITING, text(moment + lease), id)
  reply[#reply + 1] = {id, body, attempts + 1, known(id, ':key') or ''}
  return not last_after_silence
end

-- Lease the events that are blocked behind an event, up to the first that is in flight instead. Return whether further
-- events may be leased.
local function give_those_behind(id)
  local key, room = known(id, ':key'), limit - (#reply - 4)
  if not key or room <= 0 then
    return room > 0
  end
  for _, behind in ipairs(redis.call('LRANGE', queue_of(key), 0, room - 1)) do
    if not is_parked(behind) then
      return true
    elseif not give(behind, known(behind, ':body'), true) then
      return false
    end
  end
  return true
end

for _, id in ipairs(due()) do
  local body, given = known(id, ':body'), #reply
  if not body then
    -- The copy was removed: there is nothing to deliver.
    redis.call('ZREM', WAITING, id)
    forget(id)
    pass_over(id, 'lost', {})
    redis.call('HINCRBY', COUNTERS, 'lost_trimmed', 1)
    reply[1] = reply[1] + 1
  elseif given - 4 >= limit or not give(id, body) then
    break
  elseif together and #reply > given and not give_those_behind(id) then
    break
  end
end
local following = redis.call('ZRANGE', WAITING, 0, 0, 'WITHSCORES')
if following[2] then
  reply[3] = math.max(0, math.ceil(tonumber(following[2]) - moment))
end
reply[4] = redis.call('ZCARD', WAITING) + (tonumber(redis.call('HGET', COUNTERS, 'parked')) or 0)
return reply
