-- Give out waiting events that are due. They stay where they are, due again when the lease ends, until they are settled.
-- KEYS: waiting, messages, counters.
-- ARGV: token (who has them), limit, lease (milliseconds), the bytes after which no more are given.
-- Reply: {lost, milliseconds until the next is due or -1, then {id, body, attempt} for each}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = string.format('%.0f', now + tonumber(ARGV[3]))
local reply = {0, -1}
local bytes = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, ARGV[2])) do
  local body = redis.call('HGET', KEYS[2], id .. ':body')
  if body then
    bytes = bytes + #body
    if bytes > tonumber(ARGV[4]) and #reply > 2 then
      break
    end
    local attempt = redis.call('HINCRBY', KEYS[2], id .. ':att', 1)
    redis.call('HSET', KEYS[2], id .. ':tok', ARGV[1])
    redis.call('ZADD', KEYS[1], ends, id)
    reply[#reply + 1] = {id, body, attempt}
  else
    -- Somebody removed its copy: there is nothing to deliver, and nothing to wait for.
    redis.call('ZREM', KEYS[1], id)
    redis.call('HDEL', KEYS[2], id .. ':att', id .. ':tok', id .. ':key', id .. ':hist')
    redis.call('HINCRBY', KEYS[3], 'lost_trimmed', 1)
    reply[1] = reply[1] + 1
  end
end
local next = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if next[2] then
  reply[2] = math.max(0, math.ceil(tonumber(next[2]) - now))
end
return reply
