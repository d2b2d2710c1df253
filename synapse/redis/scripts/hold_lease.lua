-- Take a free lease, or renew it for the owner that holds it.
-- KEYS: the lease.
-- ARGV: the owner, the time until the lease ends unless it is renewed (milliseconds).
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
-- When Redis is out of memory, it takes no new key. Then each process may work: to trim twice at once is harmless, not
-- to trim at all is not.
return 1
