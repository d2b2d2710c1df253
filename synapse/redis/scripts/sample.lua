-- Tell what is sampled of a stream and of its groups, without its entries.
-- KEYS: the stream; of each group its counters, what waits, and its dead letters.
-- ARGV: 1 to ask for its memory too; how many fields of the groups' counters are asked for (0: no groups), and these;
--       each group's name.
-- Reply: its length, the id of its latest entry, how many entries ever were added (-1: this server does not count them),
--        the id of the latest one that was deleted, the id of its first one, and its memory in bytes (-1: not asked for,
--        or this user may not); the names of all its groups; and of each group that was asked for one text: its last
--        delivered id, how many entries are pending, wait and are dead, and its counters, with NUL between them. It is
--        empty for a group that is not there.
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
