-- Reclaim events that consumers have had in flight for too long: they become waiting events with a copy, so that a trim
-- does not remove them. The failed delivery counts as an attempt.
-- ARGV, after those of group.lua: idle (milliseconds), limit, consumer ("" for all).
-- Reply: {reclaimed, lost}, or Redis' error. Lost are events whose entries were trimmed before the group acknowledged
--        them.
local words = {'XPENDING', STREAM, GROUP, 'IDLE', ARGV[3], '-', '+', ARGV[4]}
if ARGV[5] ~= '' then
  words[#words + 1] = ARGV[5]
end
local rows = redis.pcall(unpack(words))
if rows.err then
  return rows
end
local moved, lost = 0, 0
for _, row in ipairs(rows) do
  local id, entry = row[1], entry_of(row[1])
  redis.call('XACK', STREAM, GROUP, id)
  if entry then
    note_attempt(id, row[4], '-', NO_ANSWER)
    log(id, 'silent', {attempt = row[4], by = row[2]})
    put_back(id, copy_of(entry), row[4], NOBODY, now())
    moved = moved + 1
  elseif known(id, ':body') then
    -- The event waits or is blocked already, because its group was created again or moved back.
    if not is_behind(id) then
      redis.call('ZADD', WAITING, 'NX', text(now()), id)
    end
    moved = moved + 1
  else
    lose(id)
    lost = lost + 1
  end
end
if moved > 0 then
  redis.call('HINCRBY', COUNTERS, 'reaped', moved)
end
return {moved, lost}
