-- Return what was published to a channel after a position.
--
-- KEYS  meta, stream: see publish.lua
-- ARGV  epoch and entry's id of an exact position, or else the moment in milliseconds, or else nothing
--       entries and bytes that an answer holds at most, the latter unless already the first entry has more
--
-- Answers: "whole"; or "lost", if something after the position is not here; or "other", if at the position's offset
-- there is something else. Then the epoch and the newest entry's id, empty where there is no stream; the time in
-- milliseconds; whether there is more; pairs of an entry's id and payload; what new subscribers are given, and its id.

local meta, stream = KEYS[1], KEYS[2]
local since_epoch, since_id, moment = ARGV[1], ARGV[2], tonumber(ARGV[3])
local max_length, max_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local STEP = 20

local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local known = redis.call('HMGET', meta, 'epoch', 'last', 'kept', 'kept_at')
local epoch, last = known[1], known[2]
if not epoch then
  return {since_epoch == '' and 'whole' or 'lost', '', '', now, 0, {}}
end

local function parse(id)
  local offset, ms = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(offset), tonumber(ms)
end

local function entry(offset)
  local number = string.format('%.0f', offset)
  return redis.call('XRANGE', stream, number, number, 'COUNT', 1)[1]
end

-- The id of the entry at an offset, which the one after it knows as well.
local function at(offset)
  local found = entry(offset)
  if found then
    return found[1]
  end
  local following = entry(offset + 1)
  return following and following[2][6]
end

local last_offset, last_ms = parse(last)

-- What follows upon an entry: "whole" and the offset from which to read, or "lost", or "other".
local function after_entry()
  if since_epoch ~= epoch then
    return 'lost'
  elseif since_id == last then
    return 'whole', last_offset + 1
  end
  local offset = parse(since_id)
  if offset >= last_offset then
    return 'other'
  end
  local found = at(offset)
  if found == since_id then
    return 'whole', offset + 1
  end
  return found and 'other' or 'lost'
end

-- The first entry of a moment or after it, by halving: offsets have no holes, and times do not go back.
local function after_moment()
  if last_ms < moment then
    return 'whole', last_offset + 1
  end
  local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  if not oldest then
    return 'lost'
  end
  local before, ms = parse(oldest[1])
  if ms >= moment then
    local _, gone_ms = parse(oldest[2][6] or '')
    return (before == 1 or gone_ms and gone_ms < moment) and 'whole' or 'lost', before
  end
  local first = last_offset
  while first - before > 1 do
    local middle = math.floor((before + first) / 2)
    local found = at(middle)
    if not found then
      return 'lost'
    end
    local _, found_ms = parse(found)
    if found_ms >= moment then
      first = middle
    else
      before = middle
    end
  end
  return 'whole', first
end

-- Entries from an offset on, and whether there are more; nothing if one is missing.
local function read(offset)
  local page, length, bytes = {}, 0, 0
  while offset <= last_offset do
    local entries = redis.call('XRANGE', stream, string.format('%.0f', offset), '+', 'COUNT', STEP)
    if #entries == 0 then
      return nil
    end
    for _, entry in ipairs(entries) do
      local id, payload = entry[1], entry[2][4]
      if parse(id) ~= offset then
        return nil
      elseif length == max_length or (length > 0 and bytes + #payload > max_bytes) then
        return page, 1
      end
      page[#page + 1] = id
      page[#page + 1] = payload
      length, bytes, offset = length + 1, bytes + #payload, offset + 1
    end
  end
  return page, 0
end

local state, first, page, more = 'whole', last_offset + 1, nil, nil
if since_epoch ~= '' then
  state, first = after_entry()
elseif moment then
  state, first = after_moment()
end
if state == 'whole' then
  page, more = read(first)
  state = page and 'whole' or 'lost'
end
return {state, epoch, last, now, more or 0, page or {}, known[3], known[4]}
