-- Take a token from a bucket, which holds the number of tokens of a rate and fills evenly within the time of the rate.
-- A bucket is stored as one number: the time in microseconds at which it will be full (a missing bucket is full).
-- KEYS: the bucket.
-- ARGV: the number of tokens that it holds; the time in which an empty one fills, in microseconds.
-- Reply: 1 or 0, whether there was a token; the number left; the microseconds until there is one again; and until it is
--        full.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local span = tonumber(ARGV[2])
local each = span / tonumber(ARGV[1])
-- When the clock was set back, no caller may wait longer than with an empty bucket.
local full = math.min(math.max(tonumber(redis.call('GET', KEYS[1]) or now), now), now + span)
local taken = full + each
if taken - now > span then
  return {0, 0, math.ceil(taken - now - span), math.ceil(full - now)}
end
local kept = redis.pcall('SET', KEYS[1], string.format('%.0f', taken), 'PX', math.ceil((taken - now) / 1000))
if type(kept) == 'table' and kept.err and not string.find(kept.err, 'OOM', 1, true) then
  return kept
end
-- When Redis is out of memory, the request is not recorded, and no caller is refused because of that.
return {1, math.floor((span - (taken - now)) / each + 0.000001), 0, math.ceil(taken - now)}
