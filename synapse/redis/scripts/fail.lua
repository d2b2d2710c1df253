-- Record failed attempts: each event waits for its next attempt, or becomes a dead letter when there is none.
-- ARGV, after those of group.lua: consumer, then for each event its id, the token of its lease ("" when it was read and
--       is pending), the error, the duration of the attempt (milliseconds), the time until the next attempt
--       (milliseconds), 1 when there is no next attempt, the kind of failure, the HTTP status or "-", and the error for
--       the delivery log.
-- Reply: for each event "retry", "dead", "lost" (its entry was trimmed meanwhile), or "stale" (another consumer holds
--        it, or the failure was reported before; nothing was changed).

-- Take an event from its holder. Return the number of its attempts and its copy, or nil and the reply when that fails.
local function taken(id, token)
  if token ~= '' then
    if known(id, ':tok') ~= token then
      return nil, 'stale'
    end
    return tonumber(known(id, ':att')), known(id, ':body')
  end
  local entry = entry_of(id)
  if redis.call('XACK', STREAM, GROUP, id) == 0 then
    return nil, 'stale'
  elseif not entry then
    lose(id)
    return nil, 'lost'
  end
  return 1, copy_of(entry)
end

even_when_full()
local answers = {}
for i = 4, #ARGV, 9 do
  local id, error = ARGV[i], ARGV[i + 2]
  local attempts, body = taken(id, ARGV[i + 1])
  if not attempts then
    answers[#answers + 1] = body
  elseif not body then
    lose(id)
    answers[#answers + 1] = 'lost'
  else
    note_attempt(id, attempts, ARGV[i + 3], error)
    count_failure(ARGV[i + 6])
    local is_last = ARGV[i + 5] == '1'
    log(
      id, is_last and 'dead' or 'retry', {
        attempt = attempts, took = ARGV[i + 3], kind = ARGV[i + 6], status = ARGV[i + 7], by = ARGV[3],
        error = ARGV[i + 8]})
    if is_last then
      bury(id, body, attempts, error)
      answers[#answers + 1] = 'dead'
    else
      put_back(id, body, attempts, '', now() + tonumber(ARGV[i + 4]))
      redis.call('HINCRBY', COUNTERS, 'retried', 1)
      answers[#answers + 1] = 'retry'
    end
  end
end
return answers
