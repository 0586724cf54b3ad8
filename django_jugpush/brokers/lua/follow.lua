-- Say that somebody follows what happens here, and find out since when nothing of it is forgotten.
--
-- KEYS  memory   hash: since and beat, in milliseconds
-- ARGV  the beat that the caller was told last, or nothing if it just began
--       milliseconds of silence after which nobody can tell what was lost meanwhile
--
-- Answers since and beat.

local memory, told, silence = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local known = redis.call('HMGET', memory, 'since', 'beat')
local since, beat = tonumber(known[1]), tonumber(known[2])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- A beat that is older than the one that was told is one of a Redis that came back older than it was.
if not since or not beat or (told and beat < told) or (not told and now - beat > silence) then
  since = math.max(now, told or 0)
end
local answer = {string.format('%.0f', since), string.format('%.0f', math.max(now, beat or 0))}
redis.call('HSET', memory, 'since', answer[1], 'beat', answer[2])
return answer
