-- Read events of an ordered group: one of a key at a time. The others of the key are parked until it is their turn.
-- ARGV, after those of group.lua: consumer, count, "stream" (all have one key) or "key", the property that is the key.
-- Reply: {how many were read, the last id that the stream gave, then the entries to be delivered}, or Redis' error.
-- It happens in one script with the reading: read first and park later, and two readers would mix up the order.
local consumer, count, mode, property = ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local function plain(value)
  if type(value) == 'number' then
    -- As JSON writes it, so that one key is one whichever way its event lies in Redis.
    return string.format(value == math.floor(value) and math.abs(value) < 2 ^ 53 and '%.0f' or '%.17g', value)
  end
  return (type(value) == 'string' or type(value) == 'boolean') and tostring(value) or nil
end

-- A digest, so that neither the field that holds it nor the queue's name can be long; nil when the event has no key.
local function key_of(parts)
  if mode == 'stream' then
    return mode
  end
  local payload
  for i = 1, #parts, 2 do
    if parts[i] == property then
      return redis.sha1hex(parts[i + 1])
    elseif parts[i] == 'payload' then
      payload = parts[i + 1]
    end
  end
  local understood, event = pcall(cjson.decode, payload or '')
  local key = understood and type(event) == 'table' and plain(event[property])
  return key and redis.sha1hex(key) or nil
end

-- Return whether the event is to be delivered now.
local function admit(id, entry)
  local key = key_of(entry[2])
  if not key then
    return true
  end
  local holder = redis.call('HGET', LOCKS, key)
  if not holder then
    redis.call('HSET', LOCKS, key, id)
    redis.call('HSET', MESSAGES, id .. ':key', key)
    return true
  elseif holder == id and not redis.call('ZSCORE', WAITING, id) then
    -- Read again, because its group was lost or moved back while it was pending.
    return true
  end
  redis.call('XACK', STREAM, GROUP, id)
  if holder ~= id and not known(id, ':body') then
    redis.call(
      'HSET', MESSAGES, id .. ':body', copy_of(entry), id .. ':att', 0, id .. ':tok', '', id .. ':key', key)
    redis.call('RPUSH', QUEUES .. key .. ':' .. GROUP, id)
    redis.call('HINCRBY', COUNTERS, 'parked', 1)
  end
  return false
end

local read = redis.pcall('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', count, 'STREAMS', STREAM, '>')
if read and read.err then
  return read
end
local entries = read and read[1][2] or {}
local reply = {#entries, '0-0'}
for _, entry in ipairs(entries) do
  if admit(entry[1], entry) then
    reply[#reply + 1] = entry
  end
end
reply[2] = fields_of(redis.call('XINFO', 'STREAM', STREAM))['last-generated-id']
return reply
