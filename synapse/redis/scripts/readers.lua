-- Read the groups of a stream, and the time of each group's last request. Nothing is changed.
-- KEYS: the stream.
-- Reply: {the id of the latest entry, then for each group {name, id of the last entry delivered to it, pending entries,
--        milliseconds since the last request of a consumer, or -1 without consumers}}, or Redis' error.
local stream = KEYS[1]

local info = redis.pcall('XINFO', 'STREAM', stream)
if info.err then
  return info
end
local reply = {fields_of(info)['last-generated-id']}
for _, row in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local group, idle = fields_of(row), -1
  if group.consumers > 0 then
    for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group.name)) do
      local asked = fields_of(consumer).idle
      idle = (idle < 0 or asked < idle) and asked or idle
    end
  end
  reply[#reply + 1] = {group.name, group['last-delivered-id'], group.pending, idle}
end
return reply
