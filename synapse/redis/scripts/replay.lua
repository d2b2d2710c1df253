-- Redrive dead letters: each event waits, with all its attempts to come. The records of the earlier attempts stay.
-- ARGV, after those of group.lua: the delay of the first event, the further delay of each next one (milliseconds,
--       possibly with a fraction), the actor, then for each the id of the dead letter, and the copy to deliver ("" for
--       the stored one).
-- Reply: for each "retry", "gone" (no such dead letter, or no longer), "waiting" (the event is being delivered already;
--        the dead letter stays), or "broken" (another program wrote it).
local due, step = now() + tonumber(ARGV[3]), tonumber(ARGV[4])

local function replay(dead, body)
  local entry = redis.call('XRANGE', DEAD, dead, dead)[1]
  if not entry then
    return 'gone'
  end
  local letter = {}
  for i = 1, #entry[2], 2 do
    letter[entry[2][i]] = entry[2][i + 1]
  end
  local id = letter.id or ''
  if not letter.body or not id:match('^%d+%-%d+$') then
    return 'broken'
  elseif redis.call('ZSCORE', WAITING, id) or known(id, ':body') then
    return 'waiting'
  end
  keep(id, body ~= '' and body or letter.body, 0, '', due)
  redis.call('HSET', MESSAGES, id .. ':hist', letter.hist or '', id .. ':first', letter.first or text(now()))
  if body ~= '' then
    note_edit(id)
  end
  redis.call('XDEL', DEAD, dead)
  forget_letter(id, dead)
  log(id, body ~= '' and 'edited' or 'redriven', {by = ARGV[5]})
  redis.call('HINCRBY', COUNTERS, 'replayed', 1)
  due = due + step
  return 'retry'
end

even_when_full()
local answers = {}
for i = 6, #ARGV, 2 do
  answers[#answers + 1] = replay(ARGV[i], ARGV[i + 1])
end
return answers
