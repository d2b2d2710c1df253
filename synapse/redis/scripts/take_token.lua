-- Take a token from a bucket: one that holds as many as a rate allows in its time, and is filled evenly.
-- A bucket is one number: when, in microseconds, it will be full again (a bucket that is not there is full).
-- KEYS: the bucket.  ARGV: how many it holds; how long an empty one takes to fill, in microseconds.
-- Reply: 1 or 0, whether there was one; how many are left; in how many microseconds there is one again; and all are.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local span = tonumber(ARGV[2])
local each = span / tonumber(ARGV[1])
-- A clock that was set back must not keep anybody waiting longer than an empty bucket does.
local full = math.min(math.max(tonumber(redis.call('GET', KEYS[1]) or now), now), now + span)
local taken = full + each
if taken - now > span then
  return {0, 0, math.ceil(taken - now - span), math.ceil(full - now)}
end
local kept = redis.pcall('SET', KEYS[1], string.format('%.0f', taken), 'PX', math.ceil((taken - now) / 1000))
if type(kept) == 'table' and kept.err and not string.find(kept.err, 'OOM', 1, true) then
  return kept
end
-- A Redis that is full counts no more: nobody is refused for that.
return {1, math.floor((span - (taken - now)) / each + 0.000001), 0, math.ceil(taken - now)}
