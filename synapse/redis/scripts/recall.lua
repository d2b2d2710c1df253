-- End the leases of a dead consumer: its events are due now.
-- ARGV, after those of group.lua: consumer, lease (milliseconds), offset, limit.
-- Reply: {leases checked, leases ended}. The caller repeats with a higher offset until fewer than `limit` were checked.
even_when_full()
local moment = now()
local from, to = '(' .. text(moment), text(moment + tonumber(ARGV[4]))
local ids = redis.call('ZRANGEBYSCORE', WAITING, from, to, 'LIMIT', ARGV[5], ARGV[6])
local ended = 0
for _, id in ipairs(ids) do
  if string.match(known(id, ':tok') or '', '^%S+ (.*)$') == ARGV[3] then
    local attempt = known(id, ':att') or '0'
    note_attempt(id, attempt, '-', NO_ANSWER)
    log(id, 'silent', {attempt = attempt, by = ARGV[3]})
    redis.call('HSET', MESSAGES, id .. ':tok', NOBODY)
    let_wait(id, moment)
    redis.call('HINCRBY', COUNTERS, 'expired', 1)
    ended = ended + 1
  end
end
return {#ids, ended}
