-- Change the index of a stream, unless another process has changed it.
-- KEYS: the index, the segment to write (unused when ARGV[6] is ""), the segments to delete.
-- ARGV: the version to change (0 for no index), what the index covers, the id of its last entry, the number of entries
--       added to the stream by then, the marks of PII with which it was built; the number of the segment to write, its
--       entry in the index, and its bytes; the numbers of the segments to delete.
-- Reply: the new version of the index, or 0 when its version is another one. A new index begins with the microseconds
--        since 1970, so that no version occurs twice, even after the index was deleted and created again.
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
