--[[
  Takes the next entries of a stream for one consumer, unless some that nobody has taken are gone.

  KEYS[1]   stream
  ARGV[1]   group
  ARGV[2]   consumer
  ARGV[3]   most entries
  ARGV[4]   the last id that the group had taken when the caller made up for what was lost after it, or ""

  Replies { "taken", last id taken, entries } or { "lost", last id taken before the gap }. Fails with NOGROUP if the group is not
  there. Whether something is lost is asked here, and not by a command before: the stream may be cut in between, and an entry that
  is taken hides what was lost before it.
]]
local stream = KEYS[1]

local function fields(list)
  local map = {}
  for at = 1, #list, 2 do
    map[list[at]] = list[at + 1]
  end
  return map
end

local function is_later(one, other)
  local ms1, seq1 = string.match(one, "^(%d+)-(%d+)$")
  local ms2, seq2 = string.match(other, "^(%d+)-(%d+)$")
  if ms1 ~= ms2 then
    return tonumber(ms1) > tonumber(ms2)
  end
  return tonumber(seq1) > tonumber(seq2)
end

local function group_info()
  local groups = redis.pcall("XINFO", "GROUPS", stream)
  if groups.err then
    return nil
  end
  for _, group in ipairs(groups) do
    local info = fields(group)
    if info.name == ARGV[1] then
      return info
    end
  end
  return nil
end

local group = group_info()
if not group then
  return redis.error_reply("NOGROUP there is no such stream or group")
end
local last = group["last-delivered-id"]
local info = fields(redis.call("XINFO", "STREAM", stream))

-- Entries go from the beginning of a stream: as long as one is there that was taken already, none after it is missing.
local function is_missing()
  if not is_later(info["last-generated-id"], last) then
    return false
  end
  local first = info["first-entry"]
  if first and first[1] and not is_later(first[1], last) then
    return false
  end
  -- Redis 7 counts; before that nobody can tell, which counts as lost, but for a group that begins with the stream.
  local added, read = tonumber(info["entries-added"] or nil), tonumber(group["entries-read"] or nil)
  if added and read then
    return added - read > info.length
  end
  return last ~= "0-0" or (added ~= nil and added > info.length)
end
if last ~= ARGV[4] and is_missing() then
  return { "lost", last }
end
local reply = redis.call("XREADGROUP", "GROUP", ARGV[1], ARGV[2], "COUNT", ARGV[3], "STREAMS", stream, ">")
local entries = reply and reply[1] and reply[1][2] or {}
return { "taken", group_info()["last-delivered-id"], entries }
