-- Makes a loaded batch run visible: checks that it is whole, then moves its pointers and counts it, all or nothing.
-- KEYS: record hashes (3), summary, latest pointers (3), window pointers (3), completed, last_duration, last_run, failed_in_a_row.
-- ARGV: run id, window end, publish (latest | window | none), sizes of the hashes (3), summary (JSON), duration, time,
--       milliseconds that a superseded run stays, milliseconds that one stays which is not the latest, prefix of every key,
--       names of the tables (3).
-- Answers `latest`, `window`, `none`, `again` (it was published before), `incomplete`, or `type <key>`.
local run, windowEnd, publish = ARGV[1], ARGV[2], ARGV[3]
local supersededMs, keptMs, prefix = ARGV[10], ARGV[11], ARGV[12]
local summary = KEYS[4]

local function known(key)
  local text = redis.call('GET', key)
  if not text then return nil end
  local ok, value = pcall(cjson.decode, text)
  return ok and type(value) == 'table' and type(value.window) == 'table' and value or nil
end

for i = 4, #KEYS do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= 'string' and kind ~= 'none' then return 'type ' .. KEYS[i] end
end
for _, i in ipairs({ 11, 14 }) do
  if not string.match(redis.call('GET', KEYS[i]) or '0', '^%d+$') then return 'type ' .. KEYS[i] end
end
if redis.call('EXISTS', summary) == 1 then return 'again' end
for i = 1, 3 do
  if redis.call('HLEN', KEYS[i]) ~= tonumber(ARGV[3 + i]) then return 'incomplete' end
end

local latest, sameWindow = redis.call('GET', KEYS[5]), redis.call('GET', KEYS[8])
local latestSummary = latest and known(prefix .. 'batch_summary:' .. latest)
-- Times of one form and UTC compare as text.
local isLatest = publish == 'latest' and not (latestSummary and latestSummary.window['end'] > windowEnd)

local function expire(old)
  local oldSummary = prefix .. 'batch_summary:' .. old
  local its = known(oldSummary)
  for i = 1, 3 do
    redis.call('PEXPIRE', prefix .. 'batch_etl:' .. ARGV[12 + i] .. ':' .. old, supersededMs)
    if its then
      local pointer = prefix .. 'batch_etl:' .. ARGV[12 + i] .. ':window:' .. its.window['end']
      if redis.call('GET', pointer) == old then redis.call('PEXPIRE', pointer, supersededMs) end
    end
  end
  redis.call('PEXPIRE', oldSummary, supersededMs)
end

redis.call('SET', summary, ARGV[7])
for i = 1, 3 do
  if publish ~= 'none' then redis.call('SET', KEYS[7 + i], run) end
  if isLatest then redis.call('SET', KEYS[4 + i], run) end
end
for i = 1, 4 do
  if isLatest then redis.call('PERSIST', KEYS[i]) else redis.call('PEXPIRE', KEYS[i], publish == 'none' and supersededMs or keptMs) end
end
if publish == 'none' then return 'none' end
if not isLatest then
  for i = 8, 10 do redis.call('PEXPIRE', KEYS[i], keptMs) end
end
if isLatest and latest and latest ~= run then expire(latest) end
if sameWindow and sameWindow ~= run and (isLatest or sameWindow ~= latest) then expire(sameWindow) end
redis.call('INCR', KEYS[11])
redis.call('SET', KEYS[12], ARGV[8])
redis.call('SET', KEYS[13], ARGV[9])
if publish == 'latest' then redis.call('SET', KEYS[14], '0') end
return isLatest and 'latest' or 'window'
