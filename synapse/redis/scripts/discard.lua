-- Delete dead letters.
-- ARGV, after those of group.lua: the actor, the ids of the dead letters.
-- Reply: the number of those that existed.
even_when_full()
local gone = 0
for i = 4, #ARGV do
  local entry = redis.call('XRANGE', DEAD, ARGV[i], ARGV[i])[1]
  if entry then
    local id = fields_of(entry[2]).id
    if id and id:match('^%d+%-%d+$') then
      forget_letter(id, ARGV[i])
      pass_over(id, 'discarded', {by = ARGV[3]})
    end
    gone = gone + redis.call('XDEL', DEAD, ARGV[i])
  end
end
if gone > 0 then
  redis.call('HINCRBY', COUNTERS, 'discarded', gone)
end
return gone
