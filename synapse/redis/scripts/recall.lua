-- End the leases of a consumer that is gone: what it had is due now.
-- ARGV, after those of group.lua: consumer, lease (milliseconds), offset, limit.
-- Reply: {leases looked at, ended}. The caller continues from where this ended until fewer than the limit were there.
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
