-- Sample a stream and its groups, without entries.
-- KEYS: the stream; for each group its counters, waiting events and dead letters.
-- ARGV: 1 to include the memory of the stream; the number of requested fields of the groups' counters (0 for no
--       groups), and these fields; each group's name.
-- Reply: the stream's length, the id of its latest entry, the number of entries ever added (-1 when the server does not
--        count them), the id of the latest deleted entry, the id of its first entry, and its memory in bytes (-1 when
--        not requested or not permitted); the names of all its groups; and for each requested group one text, separated
--        by NUL: its last delivered id, the numbers of pending, waiting and dead events, and its counters. The text is
--        empty when the group does not exist.
local function joined(found)
  if found.err then
    return ''
  end
  for i = 1, #found do
    found[i] = found[i] or ''
  end
  return table.concat(found, '\0')
end

local function count(...)
  local found = redis.pcall(...)
  return type(found) == 'number' and found or 0
end

local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
local is_there = not info.err
if not is_there and not string.find(info.err, 'no such key', 1, true) then
  return info
end
local known, names, rows, bytes = {}, {}, {}, -1
if is_there then
  for i = 1, #info, 2 do
    known[info[i]] = info[i + 1]
  end
  if ARGV[1] == '1' then
    local found = redis.pcall('MEMORY', 'USAGE', KEYS[1])
    bytes = type(found) == 'number' and found or -1
  end
  for place, row in ipairs(ARGV[2] ~= '0' and redis.call('XINFO', 'GROUPS', KEYS[1]) or {}) do
    local group = {}
    for i = 1, #row, 2 do
      group[row[i]] = row[i + 1]
    end
    names[place] = group.name
    rows[group.name] = group['last-delivered-id'] .. '\0' .. group.pending
  end
end
local first = known['first-entry']
local reply = {
  known['length'] or 0, known['last-generated-id'] or '0-0', is_there and (known['entries-added'] or -1) or 0,
  known['max-deleted-entry-id'] or '0-0', first and first[1] or '0-0', is_there and bytes or 0, names}
local fields = tonumber(ARGV[2])
for place = fields + 3, #ARGV do
  local row, key = rows[ARGV[place]], 3 * (place - fields - 2) - 1
  reply[#reply + 1] = row and table.concat({
    row, count('ZCARD', KEYS[key + 1]), count('XLEN', KEYS[key + 2]),
    joined(redis.pcall('HMGET', KEYS[key], unpack(ARGV, 3, fields + 2)))}, '\0') or ''
end
return reply
