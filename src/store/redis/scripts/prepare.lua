--[[
  Captures the tokens that a fill will carry, before the database is asked; mints those that are missing.

  KEYS[1]    guard of the group
  KEYS[2..]  tags, all of this group; none is allowed and only makes the guard
  ARGV[1]    lock TTL (ms)
  ARGV[2]    token for tags that have none
  ARGV[3]    TTL of a tag (ms)

  Replies a list with one text per tag: its token; "" if the tag is locked or the group in quarantine, which means that
  what depends on it may be loaded but not filled.
]]
local lock_ttl = tonumber(ARGV[1])
local new_token = ARGV[2]
local tag_ttl = tonumber(ARGV[3])

local quarantined = in_quarantine(lock_ttl)
-- Mostly nothing is locked, and then the guard holds nothing but "q".
local has_locks = redis.call("HLEN", guard) > 1

local function token_of(tag)
  local value = read_tag(tag)
  if has_locks then
    local field = field_of(tag)
    local holders = holders_of(field)
    -- The guard decides, not the tag: the tag of a live lock may have been evicted, and a token that is minted now
    -- would make a fill of the old row valid after COMMIT.
    if any_alive(holders) then
      return ""
    end
    if #holders > 0 then
      redis.call("HDEL", guard, field)
      value = false
    end
  end
  if is_token(value) then
    if redis.call("PTTL", tag) < tag_ttl then
      redis.call("PEXPIRE", tag, ARGV[3])
    end
    return value
  end
  redis.call("SET", tag, new_token, "PX", ARGV[3])
  return new_token
end

local tokens = {}
for index = 2, #KEYS do
  tokens[index - 1] = quarantined and "" or token_of(KEYS[index])
end
return tokens
