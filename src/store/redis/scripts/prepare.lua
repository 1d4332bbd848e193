--[[
  Captures the tokens that a fill will carry, before the database is asked; mints those that are missing.

  KEYS[1]    guard of the group
  KEYS[2..]  tags, all of this group; none is allowed and only makes the guard
  ARGV[1]    lock TTL (ms)
  ARGV[2]    token for tags that have none
  ARGV[3]    TTL of a tag (ms)
  ARGV[4]    "1" if a missing guard is made, "0" if it is an error

  Replies a list with one text per tag: its token; "" if the tag is locked or the group in quarantine, which means that
  what depends on it may be loaded but not filled.
]]
if is_unguarded(ARGV[4]) then
  return unguarded()
end
local quarantined = in_quarantine(tonumber(ARGV[1]))
return capture(2, #KEYS, quarantined, ARGV[2], ARGV[3])
