-- Writes records of a batch run while it is not published: whoever comes late changes nothing.
-- KEYS: record hash, summary. ARGV: milliseconds that an unpublished hash stays, then fields and values (at most 1,000). Answers 1, or 0 when it is published.
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
