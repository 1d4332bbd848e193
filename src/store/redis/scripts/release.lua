--[[
  Gives up a claim, unless it has expired and somebody else has it.

  KEYS[1]  claim
  ARGV[1]  holder

  Replies 1 if the claim was this holder's, else 0.
]]
if redis.pcall("GET", KEYS[1]) == ARGV[1] then
  return redis.call("DEL", KEYS[1])
end
return 0
