-- Counts a failed batch run, once. KEYS: summary, failed, failed_in_a_row, failing (a hash). ARGV: summary (JSON), its milliseconds
-- to live, scheduled (1 | 0), window end. The first scheduled run of a row leaves its window end as `since`.
-- Answers `<how many scheduled runs have failed in a row> <since, or nothing>`, or `type <key>`.
for i, key in ipairs(KEYS) do
  local kind, wanted = redis.call('TYPE', key).ok, i == 4 and 'hash' or 'string'
  if kind ~= wanted and kind ~= 'none' then return 'type ' .. key end
end
for i = 2, 3 do
  if not string.match(redis.call('GET', KEYS[i]) or '0', '^%d+$') then return 'type ' .. KEYS[i] end
end
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  redis.call('INCR', KEYS[2])
  if ARGV[3] == '1' then
    redis.call('INCR', KEYS[3])
    redis.call('HSETNX', KEYS[4], 'since', ARGV[4])
  end
end
return (redis.call('GET', KEYS[3]) or '0') .. ' ' .. (redis.call('HGET', KEYS[4], 'since') or '')
