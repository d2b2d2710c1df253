-- Settle events: they were delivered, or are not wanted, and the group has no more to do with them.
-- ARGV, after those of group.lua: the counter that they are added to, how many there are, their ids; then, perhaps, for
--       each the token of its lease ("" when it was read and is pending): then, of a key, only in their turn.
-- Reply: how many of them the group still had to settle; only those are counted.
local count, settled = tonumber(ARGV[4]), 0
local last_id = 4 + count

-- Whoever was silent for so long that another consumer has the event by now has no say in an ordered group: were it
-- settled, the next of its key would begin, and the other might begin this one after it. Nor has it a say in what lies
-- behind such an event: that shall come again after it.
local function is_anothers(i)
  local token = ARGV[i + count]
  local holder = token and known(ARGV[i], ':tok') or ''
  return (holder ~= '' and holder ~= NOBODY and holder ~= token) or (token and is_behind(ARGV[i]))
end

if redis.call('EXISTS', LOCKS) == 1 then
  -- In order: whoever ends an event that it has no more must not end what others hold or wait for.
  for i = 5, last_id do
    local id = ARGV[i]
    if not is_anothers(i) and redis.call('XACK', STREAM, GROUP, id) + redis.call('ZREM', WAITING, id) > 0 then
      forget(id)
      settled = settled + 1
    end
  end
else
  -- In parts: Lua's stack ends near 8,000 values.
  for first = 5, last_id, 500 do
    local last = math.min(first + 499, last_id)
    settled = settled + redis.call('XACK', STREAM, GROUP, unpack(ARGV, first, last))
    settled = settled + redis.call('ZREM', WAITING, unpack(ARGV, first, last))
    if redis.call('EXISTS', MESSAGES) == 1 then
      local fields = {}
      for i = first, last do
        for _, kind in ipairs({':body', ':att', ':tok', ':key', ':hist', ':first'}) do
          fields[#fields + 1] = ARGV[i] .. kind
        end
      end
      redis.call('HDEL', MESSAGES, unpack(fields))
    end
  end
end
if settled > 0 then
  redis.call('HINCRBY', COUNTERS, ARGV[3], settled)
  if ARGV[3] == 'done' then
    redis.call('HSET', COUNTERS, 'last_done', text(now()))
  end
end
return settled
