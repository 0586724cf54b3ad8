-- Begin the stream of a channel anew, because it came back with another past than it had; whoever follows it is told.
--
-- KEYS  meta, stream: see publish.lua
-- ARGV  the epoch that the stream has, the one that it gets, where its channel is heard, the payload that tells
--       of the gap, milliseconds for which that is kept, the moment in milliseconds before which it cannot begin
--
-- Answers 1, or 0 if the stream has yet another epoch.

local meta, stream = KEYS[1], KEYS[2]
local old_epoch, epoch, channel, payload, kept_ms, earliest = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local known = redis.call('HMGET', meta, 'epoch', 'last', 'kept_at')
if known[1] ~= old_epoch then
  return 0
end

local time = redis.call('TIME')
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
-- Later than whatever the stream had, for of two epochs the later one counts.
local last = string.format('1-%.0f', math.max(ms, tonumber(earliest), string.match(known[2], '%-(%d+)$') + 1))
redis.call('HSET', meta, 'epoch', epoch, 'last', last, 'id', '')
if known[3] then
  -- It is of before the beginning.
  redis.call('HSET', meta, 'kept_at', '0-' .. string.match(known[3], '%-(%d+)$'))
else
  -- As publish.lua does for the first of a day, which what comes next is not.
  redis.call('EXPIRE', meta, 31 * 24 * 3600)
end
redis.call('DEL', stream)
redis.call('XADD', stream, last, 'id', '', 'payload', payload)
redis.call('PEXPIRE', stream, kept_ms)
redis.call('PUBLISH', channel, epoch .. ':' .. last .. ' ' .. payload)
return 1
