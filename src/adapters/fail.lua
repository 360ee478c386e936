-- Counts a failed batch run, once. KEYS: summary, failed, failed_in_a_row, failing_since.
-- ARGV: summary (JSON), its milliseconds to live, scheduled (1 | 0), window end.
-- Answers `<how many scheduled runs have failed in a row> <window end of the first of them, or nothing>`, or `type <key>`.
for _, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'string' and kind ~= 'none' then return 'type ' .. key end
end
for i = 2, 3 do
  if not string.match(redis.call('GET', KEYS[i]) or '0', '^%d+$') then return 'type ' .. KEYS[i] end
end
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  redis.call('INCR', KEYS[2])
  if ARGV[3] == '1' then
    redis.call('INCR', KEYS[3])
    redis.call('SET', KEYS[4], ARGV[4], 'NX')
  end
end
return (redis.call('GET', KEYS[3]) or '0') .. ' ' .. (redis.call('GET', KEYS[4]) or '')
