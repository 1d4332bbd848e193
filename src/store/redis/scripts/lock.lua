--[[
  Marks tags as being written, or renews the deadlines of a holder, and tells those who listen.

  KEYS[1]        guard of the group
  KEYS[2..n+1]   tags to lock
  KEYS[n+2..]    tags that an entry will be written through under, but which are not locked
  ARGV[1]        holder, without blanks
  ARGV[2]        lock TTL (ms)
  ARGV[3]        n
  ARGV[4]        token for tags to write through under that have none
  ARGV[5]        TTL of such a tag (ms)
  ARGV[6]        channel
  ARGV[7]        message for it, or "" for none
  ARGV[8]        "1" if a missing guard is made, "0" if it is an error

  Replies a list with one text per tag that is not locked: its token at this moment; "" if somebody else has it locked or
  the group is in quarantine.
]]
if is_unguarded(ARGV[8]) then
  return unguarded()
end
local holder = ARGV[1]
local lock_ttl = tonumber(ARGV[2])
local last_locked = tonumber(ARGV[3]) + 1

-- Now and not at unlock: a bulk write between this transaction's COMMIT and its unlock moves the epoch, and the entry must
-- not carry the moved one.
local tokens = capture(last_locked + 1, #KEYS, in_quarantine(lock_ttl), ARGV[4], ARGV[5])

local deadline = holder .. "=" .. integer(now + lock_ttl)
local mark = "!" .. holder
local marks = {}
local lists = {}
local records = records_of(2, last_locked)
for index = 2, last_locked do
  local kept = {}
  local renewed = false
  for _, other in ipairs(holders_in(records[index])) do
    if other[1] == holder then
      renewed = other[2] > now
    elseif other[2] > now then
      kept[#kept + 1] = other
    end
  end
  -- The mark tells at unlock that nobody else had the tag meanwhile. A holder who is here now may commit after us and be gone
  -- before we look (a statement outside of a transaction locks before it has its row), and renewing must not wipe out the
  -- trace of one who came since: both leave a mark that is nobody's.
  if #kept > 0 or (renewed and read_tag(KEYS[index]) ~= mark) then
    marks[index] = "!"
  else
    marks[index] = mark
  end
  lists[#lists + 1] = field_of(KEYS[index])
  lists[#lists + 1] = #kept > 0 and holders_text(kept) .. " " .. deadline or deadline
end
call_with("HSET", guard, lists)
-- The mark may expire: the guard decides. Past the deadline it says nothing that a missing tag does not say.
local mark_ttl = integer(2 * lock_ttl)
for index = 2, last_locked do
  redis.call("SET", KEYS[index], marks[index], "PX", mark_ttl)
end

announce(ARGV[6], ARGV[7])

-- Locks of writers that crashed and whose tags nobody asks for again would pile up. Redis before 6.2 has no HRANDFIELD.
if redis.call("HLEN", guard) > last_locked then
  local fields = redis.pcall("HRANDFIELD", guard, 2)
  for _, field in ipairs(fields.err and {} or fields) do
    if field ~= "q" and not any_alive(holders_in(redis.call("HGET", guard, field))) then
      redis.call("HDEL", guard, field)
    end
  end
end
return tokens
