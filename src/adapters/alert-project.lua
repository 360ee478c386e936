-- Shows an alert. One that is over stays so: a late write of an attempt that was given up changes nothing.
-- KEYS: alert, open. ARGV: member of open, opening time (ms), how long it stays (ms; 0 while it is open), then fields and values.
local ttl = tonumber(ARGV[3])
if ttl == 0 and redis.call('HGET', KEYS[1], 'status') == 'resolved' then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
if ttl > 0 then
  redis.call('PEXPIRE', KEYS[1], ttl)
  redis.call('ZREM', KEYS[2], ARGV[1])
else
  redis.call('PERSIST', KEYS[1])
  redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
end
return 1
