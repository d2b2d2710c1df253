-- Delete a group with all keys that Synapse keeps for it. One script checks and deletes, because the backlog is
-- deleted, too.
-- KEYS, after those of group.lua with the delivery log: reports, pins.
-- ARGV, after those of group.lua: 1 to delete it despite a backlog or live consumers, the longest silence of a live
--       consumer (milliseconds).
-- Reply: {1 when it was deleted, 1 when it has unread events, pending, waiting, blocked, dead, live consumers}, or
--        Redis' error. When the group does not exist, Synapse's keys for it are removed.
local force, lively = ARGV[3] == '1', tonumber(ARGV[4])
local REPORTS, PINS = KEYS[9], KEYS[10]

local function group_among(groups)
  for _, row in ipairs(groups) do
    local group = fields_of(row)
    if group.name == GROUP then
      return group
    end
  end
  return nil
end

local function live_consumers()
  local live = 0
  for _, row in ipairs(redis.call('XINFO', 'CONSUMERS', STREAM, GROUP)) do
    live = live + (fields_of(row).idle < lively and 1 or 0)
  end
  return live
end

local unread, pending, live = 0, 0, 0
local groups = redis.call('EXISTS', STREAM) == 1 and redis.pcall('XINFO', 'GROUPS', STREAM) or {}
if groups.err then
  return groups
end
local group = group_among(groups)
if group then
  unread = #redis.call('XRANGE', STREAM, '(' .. group['last-delivered-id'], '+', 'COUNT', 1)
  pending, live = group.pending, live_consumers()
end
local waiting, dead = redis.call('ZCARD', WAITING), redis.call('XLEN', DEAD)
local parked = tonumber(redis.call('HGET', COUNTERS, 'parked') or '0') or 0
local deletes = force or unread + pending + waiting + parked + dead + live == 0
if deletes then
  local locks = redis.call('HKEYS', LOCKS)
  for _, key in ipairs(locks) do
    redis.call('DEL', QUEUES .. key .. ':' .. GROUP)
  end
  for _, key in ipairs({WAITING, MESSAGES, COUNTERS, LOCKS, DEAD, LETTERS, LOG, REPORTS}) do
    redis.call('DEL', key)
  end
  redis.call('HDEL', PINS, GROUP)
  if group then
    redis.call('XGROUP', 'DESTROY', STREAM, GROUP)
  end
end
return {deletes and 1 or 0, unread, pending, waiting, parked, dead, live}
