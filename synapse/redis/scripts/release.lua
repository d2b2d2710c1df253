-- Release events that were read and not begun: they wait and are due now. The delivery is not counted as an attempt.
-- ARGV, after those of group.lua: consumer, then for each event its id and the token of its lease ("" when it was read
--       and is pending).
-- Reply: the number of released events, or Redis' error. Events that the consumer does not hold are left unchanged, and
--        so is a pending event whose entry was trimmed: reclaiming will count it as lost.
even_when_full()
local given_back = 0
for i = 4, #ARGV, 2 do
  local id, token = ARGV[i], ARGV[i + 1]
  if token ~= '' then
    if known(id, ':tok') == token then
      redis.call('HINCRBY', MESSAGES, id .. ':att', -1)
      redis.call('HSET', MESSAGES, id .. ':tok', '')
      let_wait(id, now())
      given_back = given_back + 1
    end
  else
    local rows = redis.pcall('XPENDING', STREAM, GROUP, id, id, 1, ARGV[3])
    if rows.err then
      return rows
    end
    local entry = rows[1] and entry_of(id)
    if entry then
      redis.call('XACK', STREAM, GROUP, id)
      put_back(id, copy_of(entry), rows[1][4] - 1, '', now())
      given_back = given_back + 1
    end
  end
end
return given_back
