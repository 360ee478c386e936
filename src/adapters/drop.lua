-- Takes back what a batch run has loaded while it is not published: a cancel may come later than that.
-- KEYS: summary, record hashes. Answers how many were there.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
return redis.call('UNLINK', unpack(KEYS, 2))
