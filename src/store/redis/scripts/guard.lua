--[[
  What every command does with guards and tags. run-script.ts puts this file in front of each command.

  A guard is a hash, one per group:
    q            end of the quarantine (ms, TIME of this server)
    t:<rest>     the holders of one locked tag, "holder=deadline holder=deadline" (deadlines in ms, TIME of this server)
  KEYS[1] is always the guard. A tag key is the guard's key with "t:<rest>" in place of the last letter, so the field of
  a tag is the end of its key, whatever prefix the client has put in front of both.

  A value of a foreign type under one of our keys is deleted and counts as missing: it costs misses, and only once.
]]
local guard = KEYS[1]
-- The guard of a database that nobody uses any more goes in the end; one in use is kept long before (ms, 30 days).
local guard_ttl = 2592000000
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function field_of(tag)
  return string.sub(tag, #guard)
end

-- Lua would print 1.7e+12, and lose what follows.
local function integer(number)
  return string.format("%.0f", number)
end

-- The token of a tag or the mark of its lock; false if there is none.
local function read_tag(tag)
  local value = redis.pcall("GET", tag)
  if type(value) == "table" then
    redis.call("DEL", tag)
    return false
  end
  return value
end

local function is_token(value)
  return value and string.sub(value, 1, 1) ~= "!"
end

-- nil if the guard is not there: it was never made, or it was evicted or flushed together with the locks it listed.
local function quarantine_end()
  local value = redis.pcall("HGET", guard, "q")
  if type(value) == "table" then
    redis.call("DEL", guard)
    return nil
  end
  return tonumber(value)
end

-- True while locks may be alive that a lost guard had listed; makes the guard if it is lost. An end that no quarantine
-- can have (a foreign value, a clock that was set back) starts a new one, so that it cannot last for years.
local function in_quarantine(lock_ttl)
  local ends = quarantine_end()
  if not ends or ends > now + 10 * lock_ttl then
    ends = now + lock_ttl
    redis.call("HSET", guard, "q", integer(ends))
  end
  if redis.call("PTTL", guard) < guard_ttl / 2 then
    redis.call("PEXPIRE", guard, integer(guard_ttl))
  end
  return now < ends
end

-- True if what was locked here may be unknown: somebody else has served this part meanwhile, or the guard is lost. Where a part can move
-- from server to server, only who takes it over makes its guard (cluster-take-over.ts), and commands answer with an error until then.
local function is_unguarded(makes_guard)
  return makes_guard == "0" and not quarantine_end()
end

local function unguarded()
  return redis.error_reply("NOGUARD this part has to be taken over first")
end

-- A call with more arguments than this might not fit onto Lua's stack.
local most_arguments = 4000

-- Calls a command with a list of arguments behind its key, in parts if they are many.
local function call_with(command, key, list)
  for first = 1, #list, most_arguments do
    redis.call(command, key, unpack(list, first, math.min(first + most_arguments - 1, #list)))
  end
end

-- The fields of the guard that list the holders of KEYS[first..last], false where there is none.
local function records_of(first, last)
  local records = {}
  for start = first, last, most_arguments do
    local fields = {}
    for index = start, math.min(start + most_arguments - 1, last) do
      fields[#fields + 1] = field_of(KEYS[index])
    end
    for offset, record in ipairs(redis.call("HMGET", guard, unpack(fields))) do
      records[start + offset - 1] = record
    end
  end
  return records
end

-- The holders that a field lists, dead ones included, in the order in which they came: { { name, deadline }, ... }.
local function holders_in(record)
  local holders = {}
  if record then
    for name, deadline in string.gmatch(record, "(%S+)=(%d+)") do
      holders[#holders + 1] = { name, tonumber(deadline) }
    end
  end
  return holders
end

local function any_alive(holders)
  for _, holder in ipairs(holders) do
    if holder[2] > now then
      return true
    end
  end
  return false
end

-- The other way round: the text of a field.
local function holders_text(holders)
  local words = {}
  for index, holder in ipairs(holders) do
    words[index] = holder[1] .. "=" .. integer(holder[2])
  end
  return table.concat(words, " ")
end

-- Sends a message, if there is one. A user who may not is told so when he subscribes; what was invalidated stays invalidated.
local function announce(channel, message)
  if message ~= "" then
    redis.pcall("PUBLISH", channel, message)
  end
end

-- Captures the tokens of KEYS[first..last], minting those that are missing; "" for a tag that is locked, and for all if a
-- fill would not be safe now: what depends on it may be loaded but not stored.
local function capture(first, last, quarantined, new_token, tag_ttl)
  -- Mostly nothing is locked, and then the guard holds nothing but "q".
  local has_locks = first <= last and redis.call("HLEN", guard) > 1
  local tokens = {}
  for index = first, last do
    local tag = KEYS[index]
    local value = read_tag(tag)
    local locked = quarantined
    if has_locks and not locked then
      -- The guard decides, not the tag: the tag of a live lock may have been evicted, and a token that is minted now
      -- would make a fill of the old row valid after COMMIT.
      local field = field_of(tag)
      local holders = holders_in(redis.call("HGET", guard, field))
      locked = any_alive(holders)
      if #holders > 0 and not locked then
        redis.call("HDEL", guard, field)
        value = false
      end
    end
    if locked then
      value = ""
    elseif not is_token(value) then
      redis.call("SET", tag, new_token, "PX", tag_ttl)
      value = new_token
    elseif redis.call("PTTL", tag) < tonumber(tag_ttl) then
      redis.call("PEXPIRE", tag, tag_ttl)
    end
    tokens[index - first + 1] = value
  end
  return tokens
end
