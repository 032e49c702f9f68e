-- Removes a refresh family that expired before a time, unless it was prolonged meanwhile.
-- KEYS: the family. ARGV: the time. Returns its tokens' hashes, or nothing where the family stays.
local expires = redis.call('HGET', KEYS[1], 'expires')
if expires and tonumber(expires) >= tonumber(ARGV[1]) then return false end
local hashes = {}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if field:sub(1, 2) == 't:' then hashes[#hashes + 1] = field:sub(3) end
end
redis.call('DEL', KEYS[1])
return hashes
