-- Say that somebody follows what happens here, and find out what of it is forgotten.
--
-- KEYS  memory   hash: since, beat and back, in milliseconds; run, what INFO calls run_id;
--                server:<id>, when each push server said last that it is there
-- ARGV  the beat that the caller was told last, or nothing if it just began
--       milliseconds of silence after which nobody can tell what was lost meanwhile
--       "1" if the connection is new
--       the caller's id
--
-- Answers since, from when on nothing is forgotten without a trace; beat, the time; back, when a Redis came back
-- last that was older, or may have been: of the streams of before that nobody knows whether they once were longer;
-- and how many push servers there are.

local memory, told, silence, is_new, server = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1', ARGV[4]
local known, fields = {}, redis.call('HGETALL', memory)
for at = 1, #fields, 2 do
  known[fields[at]] = fields[at + 1]
end
local since, beat, back = tonumber(known.since), tonumber(known.beat), tonumber(known.back) or 0

local time = redis.call('TIME')
local now = math.max(time[1] * 1000 + math.floor(time[2] / 1000), beat or 0)

local run = known.run
if is_new then
  -- A user may have no right to it.
  local info = redis.pcall('INFO', 'server')
  run = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or run
end

local is_older = told and beat and beat < told
local was_alone = not told and beat and now - beat > silence
if is_older or (was_alone and run ~= known.run) then
  back = math.max(now, told or 0)
end
if not since or not beat or was_alone then
  since = math.max(now, told or 0)
end
since = math.max(since, back)

local function format(ms)
  return string.format('%.0f', ms)
end
local mine = 'server:' .. server
redis.call(
  'HSET', memory, 'since', format(since), 'beat', format(now), 'back', format(back), 'run', run or '', mine, format(now)
)
local servers = 1
for field, seen in pairs(known) do
  if string.sub(field, 1, 7) ~= 'server:' or field == mine then
    -- is no other's
  elseif now - seen > silence then
    redis.call('HDEL', memory, field)
  else
    servers = servers + 1
  end
end
return {format(since), format(now), format(back), servers}
