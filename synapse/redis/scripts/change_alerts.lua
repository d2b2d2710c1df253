-- Change states of alerts, each only if it still is what the evaluator read, and record each change once.
-- KEYS: the states, the history of changes, the stream of alerts, that stream's counters.
-- ARGV: how many changes the history has at most; the stream's hard length, 0 when the stream is not defined; then for
--       each alert its name, its state as it was read ("": none) and as it is to be ("": none), the record for the
--       history ("": the change is none for people), and how many names and values of an entry of the stream follow.
-- Reply: for each 1, or 0 when its state is another one by now.

-- A Redis that is full refuses a script's first write, if that one could need memory, and none after it. Alerts are
-- needed most then.
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
      -- Somebody else's key in place of the stream stops no alert.
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
