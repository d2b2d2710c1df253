-- Change the states of alerts, each only if it still equals the state that the evaluator read, and record each change
-- once.
-- KEYS: the states, the history of changes, the stream of alerts, that stream's counters.
-- ARGV: the greatest number of changes in the history; the stream's hard length, 0 when the stream is not defined; then
--       for each alert its name, the state that was read ("" for none), the new state ("" for none), the record for the
--       history ("" when the change does not concern people), and the number of the names and values of an entry that
--       follow.
-- Reply: for each alert 1, or 0 when its state has changed meanwhile.

-- When Redis is out of memory, it refuses a script's first write if that write could need memory, and no later write.
-- Alerts are needed most at such a time.
redis.pcall('HDEL', KEYS[1], '')
local most, hard_length = ARGV[1], tonumber(ARGV[2])
local answers = {}
local i = 3
while i <= #ARGV do
  local name, before, after, record, count = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], tonumber(ARGV[i + 4])
  local is_as_read = (redis.call('HGET', KEYS[1], name) or '') == before
  if is_as_read then
    if after == '' then
      redis.call('HDEL', KEYS[1], name)
    else
      redis.call('HSET', KEYS[1], name, after)
    end
    if record ~= '' then
      redis.call('XADD', KEYS[2], 'MAXLEN', '~', most, '*', 'change', record)
    end
    if count > 0 and hard_length > 0 then
      -- A key of another type in place of the stream must not stop an alert.
      local added = redis.pcall('XADD', KEYS[3], 'MAXLEN', '~', hard_length, '*', unpack(ARGV, i + 5, i + 4 + count))
      if not added.err then
        redis.pcall('HINCRBY', KEYS[4], 'published', 1)
      end
    end
  end
  answers[#answers + 1] = is_as_read and 1 or 0
  i = i + 5 + count
end
return answers
