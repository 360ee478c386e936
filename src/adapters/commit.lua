-- One commit: see that everything is as it was when the writes were computed, then write. Refusing leaves nothing changed.
-- Redis does not roll a script back, so all that can fail comes first: counters and set members are taken back when one of
-- them refuses, and the type of the one target that cannot be taken back is read before the first write.
-- Arguments and keys are two streams read in step by the code below; src/replica/commit.ts writes them.
-- What runs once an event keeps its places in locals and calls nothing but Redis: here time is everybody's.
local call, pcall, KEYS, ARGV = redis.call, redis.pcall, KEYS, ARGV
local k, a = 0, 0 -- last key and last argument read
local function key() k = k + 1 return KEYS[k] end
local function arg() a = a + 1 return ARGV[a] end
local function number() a = a + 1 return tonumber(ARGV[a]) end

-- The fence and whatever else must not have changed. Absent is the empty text.
for _ = 1, number() do
  local hash, field, expected = key(), arg(), arg()
  local found = call('HGET', hash, field) or ''
  if found ~= expected then return { 'stale', hash, found } end
end
for _ = 1, number() do
  local name, expected = key(), arg()
  local found = call('GET', name) or ''
  if found ~= expected then return { 'stale', name, found } end
end
for _ = 1, number() do
  local target, wanted = key(), arg()
  local found = call('TYPE', target).ok
  if found ~= wanted and found ~= 'none' then return { 'type', target, found } end
end

-- Set members, then counters. What they refuse is a sum beyond int64 or a foreign type, told as such, or something that
-- concerns more than this batch (memory, disk, a foreign value), which leaves as the error it is.
local membersKey, membersArg, members = k, a, number()
local undo, undos = {}, 0 -- of counters: hash, field and amount in turns, without a field for INCRBY; members are undone from their arguments
local function negated(amount) return string.sub(amount, 1, 1) == '-' and string.sub(amount, 2) or '-' .. amount end
local function refuse(reply, moved, target, field) -- moved: how many members were
  for i = undos - 2, 1, -3 do
    local hash, name, amount = undo[i], undo[i + 1], negated(undo[i + 2])
    if name then call('HINCRBY', hash, name, amount) else call('INCRBY', hash, amount) end
  end
  for i = moved, 1, -1 do
    local zset, at = KEYS[membersKey + i], membersArg + 3 * i
    if ARGV[at] == '' then call('ZREM', zset, ARGV[at - 1]) else call('ZADD', zset, ARGV[at], ARGV[at - 1]) end
  end
  if string.find(reply.err, 'overflow', 1, true) or string.find(reply.err, 'out of range', 1, true) then return { 'overflow', field and target .. ' ' .. field or target } end
  if string.find(reply.err, 'WRONGTYPE', 1, true) then return { 'type', target, call('TYPE', target).ok } end
  return reply
end
for i = 1, members do -- zset: member, score before, score from now on; no score means no member
  local zset, member, score = KEYS[k + 1], ARGV[a + 1], ARGV[a + 3]
  local reply
  if score == '' then reply = pcall('ZREM', zset, member) else reply = pcall('ZADD', zset, score, member) end
  if type(reply) == 'table' then return refuse(reply, i - 1, zset) end
  k, a = k + 1, a + 3
end
for _ = 1, number() do
  local hash, fields = KEYS[k + 1], tonumber(ARGV[a + 1])
  k, a = k + 1, a + 1
  for _ = 1, fields do
    local field, amount = ARGV[a + 1], ARGV[a + 2]
    local reply = pcall('HINCRBY', hash, field, amount)
    if type(reply) == 'table' then return refuse(reply, members, hash, field) end
    undo[undos + 1], undo[undos + 2], undo[undos + 3] = hash, field, amount
    a, undos = a + 2, undos + 3
  end
end
for _ = 1, number() do
  local target, amount = key(), arg()
  local reply = pcall('INCRBY', target, amount)
  if type(reply) == 'table' then return refuse(reply, members, target) end
  undo[undos + 1], undo[undos + 2], undo[undos + 3] = target, false, amount
  undos = undos + 3
end

-- From here on nothing can fail.
for _ = 1, number() do -- MSET in slices: a call takes at most 1,000 arguments
  local slice, rows = {}, number()
  for i = 1, rows do
    slice[2 * i - 1] = KEYS[k + i]
    slice[2 * i] = ARGV[a + i]
  end
  k, a = k + rows, a + rows
  call('MSET', unpack(slice))
end
for _ = 1, number() do -- DEL in slices
  local gone = number()
  call('DEL', unpack(KEYS, k + 1, k + gone))
  k = k + gone
end
for _ = 1, number() do -- parked keys: only when absent (NX), only when there (XX), or always ('')
  local parked, applied, when = key(), arg(), arg()
  if when == '' then call('SET', parked, applied) else call('SET', parked, applied, when) end
end
for _ = 1, number() do -- maxima of decimal integers as text: longer is larger, then by digits
  local hash, field, value = key(), arg(), arg()
  local known = call('HGET', hash, field) or ''
  if #value > #known or (#value == #known and value > known) then call('HSET', hash, field, value) end
end
for _ = 1, number() do -- trimmed once a batch: with its own trimming an entry takes 20 µs
  local stream, cap = key(), arg()
  for _ = 1, number() do
    call('XADD', stream, '*', 'op', arg(), 'key', arg(), 'offset', arg(), 'lsn', arg(), 'columns', arg())
  end
  call('XTRIM', stream, 'MAXLEN', cap)
end
-- What lives for a time: a value, then all the keys that it is for.
for _ = 1, number() do -- sets: what scores below goes, unless the set is told in the hash: then somebody is still to look at it
  local hash, below, sets = key(), '(' .. arg(), number()
  for i = 1, sets do
    if not call('HGET', hash, ARGV[a + i]) then call('ZREMRANGEBYSCORE', KEYS[k + i], '-inf', below) end
  end
  k, a = k + sets, a + sets
end
for _ = 1, number() do -- set and hash: the member that scores highest is told
  local member, score, sets = arg(), arg(), number()
  for i = k + 1, k + 2 * sets, 2 do
    local last = call('ZRANGE', KEYS[i], 0, 0, 'REV', 'WITHSCORES')
    if last[1] then call('HSET', KEYS[i + 1], member, last[1], score, last[2]) else call('HDEL', KEYS[i + 1], member, score) end
  end
  k = k + 2 * sets
end
for _ = 1, number() do -- hashes: fields that are too old
  local fields = number()
  local first, last = a + 1, a + fields
  a = last
  local hashes = number()
  for i = k + 1, k + hashes do call('HDEL', KEYS[i], unpack(ARGV, first, last)) end
  k = k + hashes
end
for _ = 1, number() do -- how long from now on, at least
  local ttl, names = arg(), number()
  for i = k + 1, k + names do
    if call('PEXPIRE', KEYS[i], ttl, 'NX') == 0 then call('PEXPIRE', KEYS[i], ttl, 'GT') end
  end
  k = k + names
end
for _ = 1, number() do -- sets with more members than so many: the last origin, and the earliest moment that was told and not looked at
  local hash, most, sets = key(), number(), number()
  for i = k + 1, k + sets do
    if call('ZCARD', KEYS[i]) > most then
      local from, told = ARGV[a + 3], call('HGET', hash, ARGV[a + 1])
      local earlier = told and string.match(told, ' (%S+)$')
      if earlier and tonumber(earlier) < tonumber(from) then from = earlier end
      call('HSET', hash, ARGV[a + 1], ARGV[a + 2] .. ' ' .. from)
    end
    a = a + 3
  end
  k = k + sets
end
for _ = 1, 2 do -- fields: those that are told, those of the fence
  for _ = 1, number() do call('HSET', key(), arg(), arg()) end
end
return { 'ok' }
