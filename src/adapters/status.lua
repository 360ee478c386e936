-- Sets or clears one condition of a table and rolls all of its conditions up: the gravest is the table's state.
-- KEYS: conditions, status. ARGV: table, condition (`<table> <state> <scope>`, or empty), why (empty clears it), and optionally the only
-- why that is cleared.
local conditions, status, table_, condition, why, only = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if condition ~= '' then
  if why ~= '' then
    redis.call('HSET', conditions, condition, why)
  elseif not only or redis.call('HGET', conditions, condition) == only then
    redis.call('HDEL', conditions, condition)
  end
end
local all = redis.call('HGETALL', conditions)
for _, state in ipairs({ 'halted', 'rebuilding', 'sweeping', 'drift' }) do
  local prefix = table_ .. ' ' .. state .. ' '
  local found
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, #prefix) == prefix and (not found or all[i] < all[found]) then found = i end
  end
  if found then
    redis.call('HSET', status, table_, state, table_ .. ':why', all[found + 1])
    return state
  end
end
redis.call('HSET', status, table_, 'running')
redis.call('HDEL', status, table_ .. ':why')
return 'running'
