-- Say that somebody follows what happens here, and find out what of it is forgotten.
--
-- KEYS  memory   hash: since, beat and back, in milliseconds; run, what INFO calls run_id
-- ARGV  the beat that the caller was told last, or nothing if it just began
--       milliseconds of silence after which nobody can tell what was lost meanwhile
--       "1" if the connection is new
--
-- Answers since, from when on nothing is forgotten without a trace; beat, the time; and back, when a Redis came back
-- last that was older, or may have been: of the streams of before that nobody knows whether they once were longer.

local memory, told, silence, is_new = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'
local known = redis.call('HMGET', memory, 'since', 'beat', 'back', 'run')
local since, beat, back = tonumber(known[1]), tonumber(known[2]), tonumber(known[3]) or 0

local time = redis.call('TIME')
local now = math.max(time[1] * 1000 + math.floor(time[2] / 1000), beat or 0)

local run = known[4]
if is_new then
  -- A user may have no right to it.
  local info = redis.pcall('INFO', 'server')
  run = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or run
end

local is_older = told and beat and beat < told
local was_alone = not told and beat and now - beat > silence
if is_older or (was_alone and run ~= known[4]) then
  back = math.max(now, told or 0)
end
if not since or not beat or was_alone then
  since = math.max(now, told or 0)
end
since = math.max(since, back)

local function format(ms)
  return string.format('%.0f', ms)
end
redis.call('HSET', memory, 'since', format(since), 'beat', format(now), 'back', format(back), 'run', run or '')
return {format(since), format(now), format(back)}
