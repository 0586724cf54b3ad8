-- Number a publication, keep it and hand it on, all at once.
--
-- KEYS  meta     hash: epoch, last (id of the newest entry), id (of the newest publication),
--                kept and kept_at (what new subscribers are given, and the id of its entry)
--       stream   the newest entries; the id of each is its offset and the time in milliseconds, and after is the id
--                of the entry before, for who has that when it is gone
-- ARGV  where it is heard, payload, id of the publication, epoch if the stream begins,
--       entries that are kept, milliseconds for which they are, "1" if new subscribers are given it,
--       "1" if it may be here already
--
-- Answers its position.

local meta, stream = KEYS[1], KEYS[2]
local channel, payload, id, new_epoch = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local length, kept_ms, is_kept, again = ARGV[5], ARGV[6], ARGV[7] == '1', ARGV[8] == '1'
local DAY = 24 * 3600 * 1000
-- The epoch is known far longer than what was published: 30 days, and up to one more, as it is not renewed each time.
local META_SECONDS = 31 * 24 * 3600

local known = redis.call('HMGET', meta, 'epoch', 'last', 'id', 'kept_at')
local epoch, last = known[1], known[2]

if again and epoch then
  if known[3] == id then
    return epoch .. ':' .. last
  end
  -- To a COUNT of 0 the answer is no list.
  for _, entry in ipairs(length ~= '0' and redis.call('XREVRANGE', stream, '+', '-', 'COUNT', length) or {}) do
    if entry[2][2] == id then
      return epoch .. ':' .. entry[1]
    end
  end
end

local time = redis.call('TIME')
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
local offset, is_new_day = 1, true
if epoch then
  local last_offset, last_ms = string.match(last, '^(%d+)-(%d+)$')
  offset = last_offset + 1
  ms = math.max(ms, tonumber(last_ms))
  is_new_day = math.floor(ms / DAY) ~= math.floor(last_ms / DAY)
else
  epoch = new_epoch
  -- First what a full Redis refuses: after a DEL it would take all the rest.
  redis.call('HSET', meta, 'epoch', epoch)
  -- Whatever is there is of a stream that is forgotten.
  redis.call('DEL', stream)
end
last = string.format('%.0f-%.0f', offset, ms)

if is_kept then
  redis.call('HSET', meta, 'last', last, 'id', id, 'kept', payload, 'kept_at', last)
  redis.call('PERSIST', meta)
else
  redis.call('HSET', meta, 'last', last, 'id', id)
  if known[4] then
    redis.call('HDEL', meta, 'kept', 'kept_at')
  end
  if is_new_day or known[4] then
    redis.call('EXPIRE', meta, META_SECONDS)
  end
end

if length == '0' then
  redis.call('DEL', stream)
else
  redis.call('XADD', stream, 'MAXLEN', '~', length, last, 'id', id, 'payload', payload, 'after', known[2] or '')
  redis.call('PEXPIRE', stream, kept_ms)
end

local position = epoch .. ':' .. last
redis.call('PUBLISH', channel, position .. ' ' .. payload)
return position
