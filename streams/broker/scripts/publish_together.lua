-- Append entries, all or none of them, unless the stream would grow past its hard length.
-- KEYS: stream.  ARGV: hard length; then for each entry the number of its parts and the parts (names and values in turn).
-- Reply: the list of ids, or false when the stream is full.
local entries = {}
local at = 2
while at <= #ARGV do
  local parts = tonumber(ARGV[at])
  entries[#entries + 1] = {at + 1, at + parts}
  at = at + parts + 1
end
if redis.call('XLEN', KEYS[1]) + #entries > tonumber(ARGV[1]) then
  return false
end
local ids = {}
for i, entry in ipairs(entries) do
  -- An event has at most 1,024 properties: unpack stays far below the size of Lua's stack.
  ids[i] = redis.call('XADD', KEYS[1], '*', unpack(ARGV, entry[1], entry[2]))
end
return ids
