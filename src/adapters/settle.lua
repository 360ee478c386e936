-- Takes away what has been dealt with, unless it has changed meanwhile. KEYS: hash. ARGV: fields and the values they had. Answers how many.
local settled = 0
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then settled = settled + redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return settled
