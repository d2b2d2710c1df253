-- Prolong what a consumer has in hand: from now on, it has it for a whole lease.
-- ARGV, after those of group.lua: consumer, lease (milliseconds), then for each event its id and the token of its lease
--       ("" when it was read and is pending).
-- Reply: for each event 1, or 0 when the consumer does not have it any more; or Redis' error.
even_when_full()
local answers = {}
for i = 5, #ARGV, 2 do
  local id, token = ARGV[i], ARGV[i + 1]
  local has = 0
  if token ~= '' then
    if known(id, ':tok') == token then
      redis.call('ZADD', WAITING, text(now() + tonumber(ARGV[4])), id)
      has = 1
    end
  else
    local rows = redis.pcall('XPENDING', STREAM, GROUP, id, id, 1, ARGV[3])
    if rows.err then
      return rows
    end
    -- Of an entry that was trimmed, newer servers would forget that it is pending; taking it back shall count it.
    if rows[1] and entry_of(id) then
      redis.call('XCLAIM', STREAM, GROUP, ARGV[3], 0, id, 'JUSTID')
      has = 1
    end
  end
  answers[#answers + 1] = has
end
return answers
