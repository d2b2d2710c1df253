-- Delete the index of a stream with its segments, unless another process changed it meanwhile.
-- KEYS: the index. Its segments have its name, a colon and their number.
-- ARGV: the version that is to be deleted (0: there is no index).
-- Reply: 1, or 0 when the index is of another version.
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
