-- Change the index of a stream, unless another process changed it meanwhile.
-- KEYS: the index; the segment that is written ("" in ARGV[6]: none); the segments that are deleted.
-- ARGV: the version that is to be changed (0: there is no index), what the index was made for, the id of the last entry
--       in it, how many entries the stream had taken by then, the marks of PII it was made by; the number of the written
--       segment, what is told of it, and its bytes; the numbers of the deleted segments.
-- Reply: the version of the index now, or 0 when it is not the one that is to be changed. A new index starts with the
--        microseconds since 1970, so that no version comes twice: not even after the index was deleted and made again.
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then
  return 0
end
local version = ARGV[1] + 1
if ARGV[1] == '0' then
  local time = redis.call('TIME')
  version = time[1] * 1000000 + time[2]
end
local text = string.format('%.0f', version)
redis.call('HSET', KEYS[1], 'version', text,
  'of', ARGV[2], 'place', ARGV[3], 'added', ARGV[4], 'marks', ARGV[5])
if ARGV[6] ~= '' then
  redis.call('SET', KEYS[2], ARGV[8])
  redis.call('HSET', KEYS[1], ARGV[6], ARGV[7])
end
for i = 9, #ARGV do
  redis.call('DEL', KEYS[i - 6])
  redis.call('HDEL', KEYS[1], ARGV[i])
end
return text
