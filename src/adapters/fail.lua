-- Counts a failed batch run, once. KEYS: summary, failed, failed_in_a_row. ARGV: summary (JSON), its milliseconds to live, scheduled (1 | 0).
-- Answers how many scheduled runs have failed in a row, or `type <key>`.
for i, key in ipairs({ KEYS[2], KEYS[3] }) do
  if redis.call('TYPE', key).ok == 'string' or redis.call('TYPE', key).ok == 'none' then
    if not string.match(redis.call('GET', key) or '0', '^%d+$') then return 'type ' .. key end
  else
    return 'type ' .. key
  end
end
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  redis.call('INCR', KEYS[2])
  if ARGV[3] == '1' then redis.call('INCR', KEYS[3]) end
end
return tonumber(redis.call('GET', KEYS[3]) or '0')
