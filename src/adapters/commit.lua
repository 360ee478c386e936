-- One commit: see that everything is as it was when the writes were computed, then write. Refusing leaves nothing changed.
-- Redis does not roll a script back, so all that can fail comes first: types are read before the first write,
-- and counters, the only writes that can overflow, are taken back when one of them refuses.
-- Arguments and keys are two streams read in step by the code below; src/replica/commit.ts writes them.
local nextKey, nextArg = 0, 0
local function key() nextKey = nextKey + 1 return KEYS[nextKey] end
local function arg() nextArg = nextArg + 1 return ARGV[nextArg] end
local function number() return tonumber(arg()) end

-- The fence and whatever else must not have changed. Absent is the empty text.
for _ = 1, number() do
  local hash, field, expected = key(), arg(), arg()
  local found = redis.call('HGET', hash, field) or ''
  if found ~= expected then return { 'stale', hash, found } end
end
for _ = 1, number() do
  local name, expected = key(), arg()
  local found = redis.call('GET', name) or ''
  if found ~= expected then return { 'stale', name, found } end
end

-- Types of the targets that are neither counters (they are tried below) nor plain strings (SET takes any key).
local function refuses(target, wanted)
  local found = redis.call('TYPE', target).ok
  return found ~= wanted and found ~= 'none' and { 'type', target, found }
end
for _ = 1, number() do
  local refusal = refuses(key(), arg())
  if refusal then return refusal end
end
local membersKey, membersArg = nextKey, nextArg -- read here for the types, and once more for the writes
for _ = 1, number() do
  local refusal = refuses(key(), 'zset')
  if refusal then return refusal end
  local count = number()
  nextArg = nextArg + 2 * count
end

-- Counters. What they refuse is either a sum beyond int64, told as such, or something that concerns more than this batch
-- (memory, disk, a foreign value), which leaves as the error it is. Both take back what was done.
local done = {}
local function refuse(reply, target)
  for i = #done, 1, -1 do
    local step = done[i]
    local back = string.sub(step[3], 1, 1) == '-' and string.sub(step[3], 2) or '-' .. step[3]
    if step[2] then redis.call('HINCRBY', step[1], step[2], back) else redis.call('INCRBY', step[1], back) end
  end
  if string.find(reply.err, 'overflow', 1, true) or string.find(reply.err, 'out of range', 1, true) then return { 'overflow', target } end
  return reply
end
for _ = 1, number() do
  local hash = key()
  for _ = 1, number() do
    local field, amount = arg(), arg()
    local reply = redis.pcall('HINCRBY', hash, field, amount)
    if type(reply) == 'table' and reply.err then return refuse(reply, hash .. ' ' .. field) end
    done[#done + 1] = { hash, field, amount }
  end
end
for _ = 1, number() do
  local target, amount = key(), arg()
  local reply = redis.pcall('INCRBY', target, amount)
  if type(reply) == 'table' and reply.err then return refuse(reply, target) end
  done[#done + 1] = { target, false, amount }
end

-- From here on nothing can fail.
for _ = 1, number() do -- MSET in slices: a call takes at most 1,000 arguments
  local slice = {}
  for i = 1, number() do
    slice[2 * i - 1] = key()
    slice[2 * i] = arg()
  end
  redis.call('MSET', unpack(slice))
end
for _ = 1, number() do -- DEL in slices
  local slice = {}
  for i = 1, number() do slice[i] = key() end
  redis.call('DEL', unpack(slice))
end
local restKey, restArg = nextKey, nextArg
nextKey, nextArg = membersKey, membersArg
for _ = 1, number() do
  local zset = key()
  for _ = 1, number() do
    local score, member = arg(), arg()
    if score == '' then redis.call('ZREM', zset, member) else redis.call('ZADD', zset, score, member) end
  end
end
nextKey, nextArg = restKey, restArg
for _ = 1, number() do -- parked keys: only when absent (NX), only when there (XX), or always ('')
  local parked, applied, when = key(), arg(), arg()
  if when == '' then redis.call('SET', parked, applied) else redis.call('SET', parked, applied, when) end
end
for _ = 1, number() do -- maxima of decimal integers as text: longer is larger, then by digits
  local hash, field, value = key(), arg(), arg()
  local known = redis.call('HGET', hash, field) or ''
  if #value > #known or (#value == #known and value > known) then redis.call('HSET', hash, field, value) end
end
for _ = 1, number() do
  local stream, cap = key(), arg()
  for _ = 1, number() do
    redis.call('XADD', stream, 'MAXLEN', cap, '*', 'op', arg(), 'key', arg(), 'offset', arg(), 'lsn', arg(), 'columns', arg())
  end
end
for _ = 1, number() do redis.call('HSET', key(), arg(), arg()) end
return { 'ok' }
