-- Store a consumer's report, and delete reports that are too old.
-- KEYS: reports.
-- ARGV: consumer, the report's words, the age at which reports are deleted (milliseconds).
-- A value is the time of the report (milliseconds) and its words.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f ', now) .. ARGV[2])
-- The last reports stay for long (for a day, when reports are kept for a minute), because they show since when no
-- consumer has reported.
redis.call('PEXPIRE', KEYS[1], 1440 * ARGV[3])
local rows = redis.call('HGETALL', KEYS[1])
for at = 1, #rows, 2 do
  local said = tonumber(rows[at + 1]:match('^%d+'))
  if not said or said < now - tonumber(ARGV[3]) then
    redis.call('HDEL', KEYS[1], rows[at])
  end
end
return 1
