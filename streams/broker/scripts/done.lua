-- Settle events: they were delivered, or are not wanted, and the group has no more to do with them.
-- KEYS: stream, waiting, messages, counters.  ARGV: group, the counter that they are added to, ids.
-- Reply: how many of them the group still had to settle; only those are counted.
local settled = 0
-- In parts: Lua's stack ends near 8,000 values.
for first = 3, #ARGV, 500 do
  local last = math.min(first + 499, #ARGV)
  settled = settled + redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, first, last))
  settled = settled + redis.call('ZREM', KEYS[2], unpack(ARGV, first, last))
  if redis.call('EXISTS', KEYS[3]) == 1 then
    local fields = {}
    for i = first, last do
      for _, kind in ipairs({':body', ':att', ':tok', ':key', ':hist'}) do
        fields[#fields + 1] = ARGV[i] .. kind
      end
    end
    redis.call('HDEL', KEYS[3], unpack(fields))
  end
end
if settled > 0 then
  redis.call('HINCRBY', KEYS[4], ARGV[2], settled)
end
return settled
