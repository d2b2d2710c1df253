-- Delete the index of a stream with its segments, unless another process has changed it.
-- KEYS: the index. The keys of its segments are this name, a colon and their number.
-- ARGV: the version to delete (0 for no index).
-- Reply: 1, or 0 when the index has another version.
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then
  return 0
end
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  local number = tonumber(name)
  if number then
    redis.call('DEL', string.format('%s:%.0f', KEYS[1], number))
  end
end
redis.call('DEL', KEYS[1])
return 1
