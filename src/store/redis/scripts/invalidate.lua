--[[
  Makes what depends on some tags unreadable, and tells those who listen.

  KEYS[1]     guard of the group
  KEYS[2..]   tags; there may be none
  ARGV[1]     channel
  ARGV[2]     message for it

  Replies 1.
]]
for index = 2, #KEYS do
  redis.call("DEL", KEYS[index])
end
announce(ARGV[1], ARGV[2])
return 1
