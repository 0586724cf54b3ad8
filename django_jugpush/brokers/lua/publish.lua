-- Number publications, keep them and hand them on: several of several channels, in order, all at once.
--
-- KEYS  of each channel:
--       meta     hash: epoch, last (id of the newest entry), id (of the newest publication),
--                kept and kept_at (what new subscribers are given, and the id of its entry)
--       stream   the newest entries; the id of each is its offset and the time in milliseconds, and after is the id
--                of the entry before, for who has that when it is gone
-- ARGV  "1" if they may be here already
--       of each channel: where it is heard, entries that are kept, milliseconds for which they are,
--       how many of the publications are its own, which is the last of these, "1" if new subscribers are given that
--       of each publication: which channel's it is, its id, its payload
--
-- Answers the time in milliseconds.

local again = ARGV[1] == '1'
local channels = #KEYS / 2
local DAY = 24 * 3600 * 1000
-- The epoch is known far longer than what was published: 30 days, and up to one more, as it is not renewed each time.
local META_SECONDS = 31 * 24 * 3600

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Where in ARGV the words about a channel, or a publication, begin.
local function header(channel)
  return 2 + 6 * (channel - 1)
end
local function item(number)
  return 2 + 6 * channels + 3 * (number - 1)
end

-- What of a channel's own is here already: where the last of it is, and how many come after that. What was published
-- before something that is here had come with it, or earlier, and may be gone again.
local function find_here(channel, meta, stream, length)
  local here = {[redis.call('HMGET', meta, 'id')[1]] = true}
  -- To a COUNT of 0 the answer is no list.
  for _, entry in ipairs(length ~= '0' and redis.call('XREVRANGE', stream, '+', '-', 'COUNT', length) or {}) do
    here[entry[2][2]] = true
  end
  local last, left = 0, 0
  for at = item(1), #ARGV, 3 do
    if tonumber(ARGV[at]) ~= channel then
      -- is another's
    elseif here[ARGV[at + 1]] then
      last, left = at, 0
    else
      left = left + 1
    end
  end
  return last, left
end

-- First all that is known of the channels is brought up to date: what then fails is a gap, and never a number twice.
local epochs, offsets, times, before, is_here_until = {}, {}, {}, {}, {}
for channel = 1, channels do
  local meta, stream = KEYS[2 * channel - 1], KEYS[2 * channel]
  local at = header(channel)
  local length, count, newest, is_kept = ARGV[at + 1], tonumber(ARGV[at + 3]), item(ARGV[at + 4]), ARGV[at + 5] == '1'
  local id, payload = ARGV[newest + 1], ARGV[newest + 2]

  local known = redis.call('HMGET', meta, 'epoch', 'last', 'kept_at')
  local epoch, last, kept_at = known[1], known[2], known[3]
  local offset, ms, is_new_day, here_until = 0, now, true, 0
  if epoch then
    local last_offset, last_ms = string.match(last, '^(%d+)-(%d+)$')
    offset = tonumber(last_offset)
    ms = math.max(now, tonumber(last_ms))
    is_new_day = math.floor(ms / DAY) ~= math.floor(last_ms / DAY)
    if again then
      here_until, count = find_here(channel, meta, stream, length)
    end
  else
    -- No other stream of the channel begins in this microsecond.
    epoch = string.sub(redis.sha1hex(time[1] .. ' ' .. time[2] .. ' ' .. id .. ' ' .. meta), 1, 12)
    -- First what a full Redis refuses: after a DEL it would take all the rest.
    redis.call('HSET', meta, 'epoch', epoch)
    -- Whatever is there is of a stream that is forgotten.
    redis.call('DEL', stream)
  end
  epochs[channel], offsets[channel], times[channel] = epoch, offset, ms
  before[channel], is_here_until[channel] = last or '', here_until

  last = string.format('%d-%d', offset + count, ms)
  if count == 0 then
    -- nothing changes
  elseif is_kept then
    redis.call('HSET', meta, 'last', last, 'id', id, 'kept', payload, 'kept_at', last)
    redis.call('PERSIST', meta)
  else
    redis.call('HSET', meta, 'last', last, 'id', id)
    if kept_at then
      redis.call('HDEL', meta, 'kept', 'kept_at')
    end
    if is_new_day or kept_at then
      redis.call('EXPIRE', meta, META_SECONDS)
    end
  end
end

for at = item(1), #ARGV, 3 do
  local channel, id, payload = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
  if at > is_here_until[channel] then
    local name, length = ARGV[header(channel)], ARGV[header(channel) + 1]
    offsets[channel] = offsets[channel] + 1
    local position = string.format('%d-%d', offsets[channel], times[channel])
    if length ~= '0' then
      redis.call(
        'XADD', KEYS[2 * channel], 'MAXLEN', '~', length, position,
        'id', id, 'payload', payload, 'after', before[channel]
      )
    end
    before[channel] = position
    redis.call('PUBLISH', name, epochs[channel] .. ':' .. position .. ' ' .. payload)
  end
end

for channel = 1, channels do
  local stream, length, kept_ms = KEYS[2 * channel], ARGV[header(channel) + 1], ARGV[header(channel) + 2]
  if length == '0' then
    redis.call('DEL', stream)
  else
    redis.call('PEXPIRE', stream, kept_ms)
  end
end

return now
