-- Take a lease that is free, or renew it when it is held already by the same owner.
-- KEYS: the lease.  ARGV: the owner; how long the lease lives without being renewed, in ms.
-- Reply: 1 when the owner may work, else 0.
local owner = redis.call('GET', KEYS[1])
if owner == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return 1
end
if owner then
  return 0
end
local taken = redis.pcall('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
if taken.err and not string.find(taken.err, 'OOM', 1, true) then
  return taken
end
-- A Redis that is full takes no new key. Then each process may work: trimming twice at once is harmless, not trimming
-- is not.
return 1
