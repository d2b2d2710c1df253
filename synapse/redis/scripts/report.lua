-- Note what a consumer says of itself, and forget those that have said nothing for long.
-- KEYS: reports.  ARGV: consumer, its words, the milliseconds after which the silent are forgotten.
-- A row is the time of the report (milliseconds) and the words.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f ', now) .. ARGV[2])
-- The last reports stay for long (a day, of those that are kept for a minute): they tell since when nobody reports.
redis.call('PEXPIRE', KEYS[1], 1440 * ARGV[3])
local rows = redis.call('HGETALL', KEYS[1])
for at = 1, #rows, 2 do
  local said = tonumber(rows[at + 1]:match('^%d+'))
  if not said or said < now - tonumber(ARGV[3]) then
    redis.call('HDEL', KEYS[1], rows[at])
  end
end
return 1
