--[[
  Ends the lock of one holder after COMMIT or ROLLBACK, and writes entries through where that is safe.

  KEYS[1]           guard of the group
  KEYS[2..n+1]      tags to unlock
  KEYS[n+2..n+m+1]  entries to write through
  ARGV[1]           holder
  ARGV[2]           token for the tags of entries that are written
  ARGV[3]           TTL of a tag (ms)
  ARGV[4]           n
  ARGV[5..]         per entry: value, TTL (ms), k, and k times the index in KEYS of a tag that is locked for it

  Replies { held, written }: held is 0 if the lock of any tag had been lost (expired, or the guard was gone), else 1;
  written is the number of entries written.
]]
local holder = ARGV[1]
local new_token = ARGV[2]
local tag_ttl = ARGV[3]
local last_tag = tonumber(ARGV[4]) + 1

local ends = quarantine_end()
local held = ends and 1 or 0
local quarantined = not ends or now < ends

-- By index in KEYS: what may be written under (owned), and what nobody holds any more (free).
local owned = {}
local free = {}
for index = 2, last_tag do
  local tag = KEYS[index]
  local field = field_of(tag)
  local others = {}
  local alive = false
  for _, record in ipairs(holders_of(field)) do
    if record[1] == holder then
      alive = record[2] > now
    else
      others[#others + 1] = record
    end
  end
  if not alive then
    held = 0
  end
  -- Another holder, even a dead one, may have committed after this one; and so may one that came and went, whose mark is
  -- then on the tag. Only a tag that was this holder's all along tells that its value is the newest.
  owned[index] = alive and not quarantined and #others == 0 and read_tag(tag) == "!" .. holder
  free[index] = not any_alive(others)
  if free[index] then
    redis.call("HDEL", guard, field)
  else
    -- pcall: if memory is short, this lock ends at its deadline, and the other tags are still unlocked now.
    redis.pcall("HSET", guard, field, holders_text(others))
  end
end

local written = 0
local renewed = {}
local argument = 5
for key = last_tag + 1, #KEYS do
  local value = ARGV[argument]
  local ttl = ARGV[argument + 1]
  local count = tonumber(ARGV[argument + 2])
  local allowed = true
  for offset = 1, count do
    allowed = allowed and owned[tonumber(ARGV[argument + 2 + offset])]
  end
  if allowed and not redis.pcall("SET", KEYS[key], value, "PX", ttl).err then
    written = written + 1
    for offset = 1, count do
      renewed[tonumber(ARGV[argument + 2 + offset])] = true
    end
  end
  argument = argument + 3 + count
end

for index = 2, last_tag do
  if free[index] then
    if not renewed[index] or redis.pcall("SET", KEYS[index], new_token, "PX", tag_ttl).err then
      redis.call("DEL", KEYS[index])
    end
  end
end
return { held, written }
