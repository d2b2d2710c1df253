-- Record the id after which a group would continue if it were lost. All events up to it are acknowledged or have a
-- copy.
-- ARGV: those of group.lua.
-- Reply: the id, or Redis' error.

-- Return the id before an id, or a lower one when that cannot be computed: Lua's numbers have 53 bits.
local function before(id)
  local ms, seq = id:match('^(%d+)%-(%d+)$')
  if seq ~= '0' and #seq <= 15 then
    return ms .. '-' .. text(tonumber(seq) - 1)
  elseif seq ~= '0' or tonumber(ms) == 0 then
    return ms .. '-0'
  end
  return text(tonumber(ms) - 1) .. '-18446744073709551615'
end

local pending = redis.pcall('XPENDING', STREAM, GROUP)
if pending.err then
  return pending
end
local place = pending[1] > 0 and before(pending[2])
if not place then
  for _, row in ipairs(redis.call('XINFO', 'GROUPS', STREAM)) do
    local group = fields_of(row)
    place = group.name == GROUP and group['last-delivered-id'] or place
  end
end
even_when_full()
redis.call('HSET', COUNTERS, 'place', place)
return place
