-- Tell what is sampled of a stream, without its entries.
-- KEYS: the stream.  ARGV: 1 to ask for its memory too.
-- Reply: its length, the id of its latest entry, how many entries ever were added (-1: this server does not count them),
--        the id of the latest one that was deleted, the id of its first one, and its memory in bytes (-1: not asked for,
--        or this user may not).
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if info.err then
  if string.find(info.err, 'no such key', 1, true) then
    return {0, '0-0', 0, '0-0', '0-0', 0}
  end
  return info
end
local known = {}
for i = 1, #info, 2 do
  known[info[i]] = info[i + 1]
end
local first, bytes = known['first-entry'], -1
if ARGV[1] == '1' then
  local found = redis.pcall('MEMORY', 'USAGE', KEYS[1])
  bytes = type(found) == 'number' and found or -1
end
return {
  known['length'], known['last-generated-id'], known['entries-added'] or -1, known['max-deleted-entry-id'] or '0-0',
  first and first[1] or '0-0', bytes}
