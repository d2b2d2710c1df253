-- Throw dead letters away.
-- ARGV, after those of group.lua: their ids.
-- Reply: how many there were.
local gone = 0
for i = 3, #ARGV do
  gone = gone + redis.call('XDEL', DEAD, ARGV[i])
end
if gone > 0 then
  redis.call('HINCRBY', COUNTERS, 'discarded', gone)
end
return gone
