--[[
  Ends the lock of one holder after COMMIT or ROLLBACK, writes entries through where that is safe, and tells those who
  listen.

  KEYS[1]           guard of the group
  KEYS[2..n+1]      tags to unlock
  KEYS[n+2..n+w+1]  tags to watch
  KEYS[n+w+2..]     entries to write through, of this part
  ARGV[1]           holder
  ARGV[2]           token for the tags of entries that are written
  ARGV[3]           TTL of a tag (ms)
  ARGV[4]           n
  ARGV[5]           w
  ARGV[6]           channel
  ARGV[7]           message for it, or "" for none
  ARGV[8..w+7]      the token that each watched tag must have still: nothing is written otherwise
  ARGV[w+8..]       per entry: value, TTL (ms), k, and k times the index in KEYS of a tag that is locked for it; the value is "" for an
                    entry of another part, which depends on these tags here and is stored there

  Replies { held, allowed }: held is 0 if the lock of any tag had been lost (expired, or the guard was gone), else 1; allowed has one number
  per entry, 1 if all tags that it has here have the new token.
]]
local holder = ARGV[1]
local new_token = ARGV[2]
local tag_ttl = ARGV[3]
local last_tag = tonumber(ARGV[4]) + 1
local watched = tonumber(ARGV[5])

local held = 1
local ends = quarantine_end()
local quarantined = not ends or now < ends

-- By index in KEYS: the tags that may be written under.
local owned = {}
local writes = #ARGV > 7 + watched
local tags = {}
local ended = {}
local shared = {}
local records = records_of(2, last_tag)
for index = 2, last_tag do
  local record = records[index]
  local others = {}
  local alive = false
  for _, one in ipairs(holders_in(record)) do
    if one[1] == holder then
      alive = one[2] > now
    else
      others[#others + 1] = one
    end
  end
  if not alive then
    held = 0
  end
  -- Another holder, even a dead one, may have committed after this one; and so may one that came and went, whose mark is
  -- then on the tag. Only a tag that was this holder's all along tells that its value is the newest.
  owned[index] = writes and alive and not quarantined and #others == 0 and read_tag(KEYS[index]) == "!" .. holder
  tags[#tags + 1] = KEYS[index]
  if any_alive(others) then
    shared[#shared + 1] = field_of(KEYS[index])
    shared[#shared + 1] = holders_text(others)
  elseif record then
    ended[#ended + 1] = field_of(KEYS[index])
  end
end
-- Also if others still hold it: the guard keeps it locked, and the mark that is gone tells them that somebody else has had
-- it, even if that one's record was lost before they came. First, because a script that has written is not stopped when
-- memory is short.
for first = 1, #tags, most_arguments do
  redis.call("DEL", unpack(tags, first, math.min(first + most_arguments - 1, #tags)))
end
call_with("HSET", guard, shared)
call_with("HDEL", guard, ended)

local barred = false
for offset = 1, watched do
  barred = barred or read_tag(KEYS[last_tag + offset]) ~= ARGV[7 + offset]
end

local verdicts = {}
local argument = 8 + watched
local key = last_tag + watched
while argument <= #ARGV do
  local value = ARGV[argument]
  local ttl = ARGV[argument + 1]
  local count = tonumber(ARGV[argument + 2])
  local under = {}
  for offset = 1, count do
    under[offset] = tonumber(ARGV[argument + 2 + offset])
  end
  argument = argument + 3 + count
  local is_here = value ~= ""
  if is_here then
    key = key + 1
  end

  local allowed = not barred
  for _, index in ipairs(under) do
    allowed = allowed and owned[index]
  end
  if allowed then
    if is_here then
      redis.call("SET", KEYS[key], value, "PX", ttl)
    end
    for _, index in ipairs(under) do
      redis.call("SET", KEYS[index], new_token, "PX", tag_ttl)
    end
  end
  verdicts[#verdicts + 1] = allowed and 1 or 0
end
announce(ARGV[6], ARGV[7])
return { held, verdicts }
