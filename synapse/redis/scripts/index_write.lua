-- Change the index of a stream, unless another process changed it meanwhile.
-- KEYS: the index; the segment that is written ("" in ARGV[6]: none); the segments that are deleted.
-- ARGV: the version that is to be changed (0: there is no index), what the index was made for, the id of the last entry
--       in it, how many entries the stream had taken by then, the marks of PII it was made by; the number of the written
--       segment, what is told of it, and its bytes; the numbers of the deleted segments.
-- Reply: 1, or 0 when the index is of another version.
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'version', string.format('%.0f', ARGV[1] + 1),
  'of', ARGV[2], 'place', ARGV[3], 'added', ARGV[4], 'marks', ARGV[5])
if ARGV[6] ~= '' then
  redis.call('SET', KEYS[2], ARGV[8])
  redis.call('HSET', KEYS[1], ARGV[6], ARGV[7])
end
for i = 9, #ARGV do
  redis.call('DEL', KEYS[i - 6])
  redis.call('HDEL', KEYS[1], ARGV[i])
end
return 1
