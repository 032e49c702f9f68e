-- Stores a new refresh family with its first token.
-- KEYS: the family. ARGV: the first token's hash, milliseconds to keep it, then field, value, field, value, …
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'newest', ARGV[1], 't:' .. ARGV[1], '1', unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
