-- Count entries of a stream between ids, without sending them.
-- KEYS: the stream.
-- ARGV: for each range the id after which it begins, the id with which it ends, and the greatest number of entries to
--       count.
-- Reply: for each range the id of its first entry ("" for none), and the number of its entries.
local found = {}
for i = 1, #ARGV, 3 do
  local entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[i], ARGV[i + 1], 'COUNT', ARGV[i + 2])
  found[#found + 1] = entries[1] and entries[1][1] or ''
  found[#found + 1] = #entries
end
return found
