--[[
  Makes what depends on some tags unreadable, and tells those who listen.

  KEYS[1]     guard of the group
  KEYS[2..]   tags; there may be none
  ARGV[1]     channel
  ARGV[2]     message for it, or "" for none
  ARGV[3]     "1" if a missing guard does not matter, "0" if it is an error

  Replies 1.
]]
if is_unguarded(ARGV[3]) then
  return unguarded()
end
for index = 2, #KEYS do
  redis.call("DEL", KEYS[index])
end
announce(ARGV[1], ARGV[2])
return 1
