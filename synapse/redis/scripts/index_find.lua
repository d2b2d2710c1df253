-- Find digests in the index of a stream: the blocks of entries that may hold the values of the digests.
-- KEYS: the index. The keys of its segments are this name, a colon and their number.
-- ARGV: what the index has to cover; the greatest numbers of blocks in the reply and of segments to search; to
--       continue, the version of the index at the last call and the number of the last segment that was searched (else
--       "" and ""); the digests as numbers. When the version has changed, the search starts over.
-- Reply: the id of the last entry in the index ("" for no such index), 1 when a segment is missing, else 0; the version
--        of the index; the number of the last segment that was searched ("" when there are no more); and the first id
--        of each block in 16 bytes, newest first.
-- A segment has the number of its digests and of its blocks, the sorted digests, the block of each, and the first id of
-- each block.
local known = redis.call('HGETALL', KEYS[1])
local numbers, meta = {}, {}
for i = 1, #known, 2 do
  local number = tonumber(known[i])
  if number then
    numbers[#numbers + 1] = number
  else
    meta[known[i]] = known[i + 1]
  end
end
if meta['of'] ~= ARGV[1] then
  return {'', 0, '', ''}
end
local before = meta['version'] == ARGV[4] and tonumber(ARGV[5]) or math.huge
table.sort(numbers, function(a, b) return a > b end)
local most, missing, reply = tonumber(ARGV[2]) + 4, 0, {meta['place'], 0, meta['version'], ''}
local place = 1
while numbers[place] and numbers[place] >= before do
  place = place + 1
end
local last = math.min(#numbers, place + ARGV[3] - 1)
for i = place, last do
  local number = numbers[i]
  local key = string.format('%s:%.0f', KEYS[1], number)
  local head = redis.call('GETRANGE', key, 0, 7)
  if #head < 8 then
    missing = 1
  else
    local digests, blocks = struct.unpack('>I4I4', head)
    local is_found, found = {}, {}
    for j = 6, #ARGV do
      local wanted = tonumber(ARGV[j])
      -- The first position whose digest is above the wanted one. The newest block of the wanted digest is before it.
      local low, high = 0, digests
      while low < high do
        local middle = math.floor((low + high) / 2)
        if struct.unpack('>I4', redis.call('GETRANGE', key, 8 + 4 * middle, 11 + 4 * middle)) > wanted then
          high = middle
        else
          low = middle + 1
        end
      end
      local left = most - #reply
      while low > 0 and left > 0 do
        low, left = low - 1, left - 1
        if struct.unpack('>I4', redis.call('GETRANGE', key, 8 + 4 * low, 11 + 4 * low)) ~= wanted then
          break
        end
        local at = 8 + 4 * digests + 2 * low
        local block = struct.unpack('>I2', redis.call('GETRANGE', key, at, at + 1))
        if not is_found[block] then
          is_found[block] = true
          found[#found + 1] = block
        end
      end
    end
    table.sort(found, function(a, b) return a > b end)
    for _, block in ipairs(found) do
      if #reply >= most then
        break
      end
      local at = 8 + 6 * digests + 16 * block
      reply[#reply + 1] = redis.call('GETRANGE', key, at, at + 15)
    end
  end
  if #reply >= most then
    break
  end
  if i == last and last < #numbers then
    reply[4] = string.format('%.0f', number)
  end
end
reply[2] = missing
return reply
