-- Throw dead letters away.
-- ARGV, after those of group.lua: their ids.
-- Reply: how many there were.
local gone = 0
for i = 3, #ARGV do
  local entry = redis.call('XRANGE', DEAD, ARGV[i], ARGV[i])[1]
  if entry then
    local id = fields_of(entry[2]).id
    if id then
      forget_letter(id, ARGV[i])
    end
    gone = gone + redis.call('XDEL', DEAD, ARGV[i])
  end
end
if gone > 0 then
  redis.call('HINCRBY', COUNTERS, 'discarded', gone)
end
return gone
