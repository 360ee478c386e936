-- Decides whether a notice is told alone, leads a storm, or is told by the storm's leader; the same id gets the same answer again.
-- KEYS: recent notices of this type and kind, the storm's leader, the decision. ARGV: id, now (ms), window (ms), most in a window, how long a
-- leader tells for others (ms), how long a decision is remembered (ms). Answers `alone`, `lead <id>` or `member <id of the leader>`.
local recent, leader, decided = KEYS[1], KEYS[2], KEYS[3]
local id, now, window, most, leadMs, rememberMs = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6]
local before = redis.call('GET', decided)
if before then return before end
redis.call('ZREMRANGEBYSCORE', recent, '-inf', now - window)
redis.call('ZADD', recent, now, id)
redis.call('PEXPIRE', recent, window)
local answer = 'alone'
if redis.call('ZCARD', recent) > most then
  local lead = redis.call('GET', leader)
  if lead then
    answer = 'member ' .. lead
  else
    redis.call('SET', leader, id, 'PX', leadMs)
    answer = 'lead ' .. id
  end
else
  redis.call('DEL', leader)
end
redis.call('SET', decided, answer, 'PX', rememberMs)
return answer
