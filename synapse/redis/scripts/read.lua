-- Read events of an ordered group. Events with the same key go to one consumer at a time; the others are blocked until
-- they have the turn.
-- ARGV, after those of group.lua: consumer, count, "stream" (all events have one key) or "key", the property that is
--       the key, 1 to return all events of a key that are read here, for the consumer to deliver one after the other, 0
--       for only one.
-- Reply: {the number of events read, or -1 when none can be read while an earlier event is not done; the last id of the
--        stream; then id, fields and key ("" for none) of each event to deliver}, or Redis' error.
-- One script reads and blocks, because between two scripts another reader could change the order.
local consumer, count, mode, property, together = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7] == '1'
-- The keys whose turn began in this call: all events behind were read in this call, too, and none of them is blocked.
local opened = {}
-- The events to append to the queues of such keys, and the keys of events: written once, after all events.
local behind, notes = {}, {}
local has_copies = redis.call('EXISTS', WAITING) == 1 or tonumber(redis.call('HGET', COUNTERS, 'parked') or '0') > 0

local function plain(value)
  if type(value) == 'number' then
    -- The text that JSON has, so that a key is the same in each layout of entries.
    return string.format(value == math.floor(value) and math.abs(value) < 2 ^ 53 and '%.0f' or '%.17g', value)
  end
  return (type(value) == 'string' or type(value) == 'boolean') and tostring(value) or nil
end

-- Return a digest of the key, so that neither the field with it nor the queue's name is long; nil when the event has no
-- key.
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

-- In the order of the stream, an event that is read while an earlier one is not done could only be blocked, so it stays
-- unread. An event that has the turn but neither waits nor is pending is unread again, because its group was lost.
local function is_taken()
  local holder = mode == 'stream' and redis.call('HGET', LOCKS, mode)
  if not holder or redis.call('ZSCORE', WAITING, holder) then
    return holder
  end
  local rows = redis.pcall('XPENDING', STREAM, GROUP, holder, holder, 1)
  return not rows.err and #rows > 0
end

-- Return whether to deliver the event now; otherwise it is blocked.
local function admit(id, entry, key)
  if not key then
    return true
  elseif opened[key] and not (has_copies and known(id, ':body')) then
    behind[key] = behind[key] or {}
    table.insert(behind[key], id)
    notes[#notes + 1], notes[#notes + 2] = id .. ':key', key
    return true
  end
  local holder = redis.call('HGET', LOCKS, key)
  if not holder then
    redis.call('HSET', LOCKS, key, id)
    redis.call('HSET', MESSAGES, id .. ':key', key)
    opened[key] = together
    return true
  elseif holder == id and not redis.call('ZSCORE', WAITING, id) then
    -- The event is read again, because its group was lost or moved back while it was pending.
    return true
  end
  redis.call('XACK', STREAM, GROUP, id)
  if holder ~= id and not known(id, ':body') then
    -- An event that was pending when its group was lost is in the queue already.
    if not known(id, ':key') then
      redis.call('RPUSH', queue_of(key), id)
    end
    redis.call(
      'HSET', MESSAGES, id .. ':body', copy_of(entry), id .. ':att', 0, id .. ':tok', '', id .. ':key', key)
    redis.call('HINCRBY', COUNTERS, 'parked', 1)
  end
  return false
end

local reply = {-1, '0-0'}
if not is_taken() then
  local most = mode == 'stream' and not together and 1 or count
  local read = redis.pcall('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', most, 'STREAMS', STREAM, '>')
  if read and read.err then
    return read
  end
  local entries = read and read[1][2] or {}
  reply[1] = #entries
  for _, entry in ipairs(entries) do
    local key = key_of(entry[2])
    if admit(entry[1], entry, key) then
      reply[#reply + 1] = {entry[1], entry[2], key or ''}
    end
  end
end
-- Redis stores a hash of up to 512 short values as a list, and each access searches it from the start. A single long
-- value makes Redis store it as a hash table from then on.
if #notes > 50 then
  redis.call('HSET', MESSAGES, '', string.rep('-', 100))
end
-- In chunks, because Lua's stack ends near 8,000 values.
for first = 1, #notes, 1000 do
  redis.call('HSET', MESSAGES, unpack(notes, first, math.min(first + 999, #notes)))
end
if #notes > 50 then
  redis.call('HDEL', MESSAGES, '')
end
for key, ids in pairs(behind) do
  for first = 1, #ids, 1000 do
    redis.call('RPUSH', queue_of(key), unpack(ids, first, math.min(first + 999, #ids)))
  end
end
reply[2] = fields_of(redis.call('XINFO', 'STREAM', STREAM))['last-generated-id']
return reply
