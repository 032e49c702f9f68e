-- Revokes a refresh family, once.
-- KEYS: the family. ARGV: a token's hash, now. Returns a verdict and the family's fields.
if redis.call('HEXISTS', KEYS[1], 't:' .. ARGV[1]) == 0 then return {'unknown'} end
if tonumber(redis.call('HGET', KEYS[1], 'revoked') or '0') == 0 then redis.call('HSET', KEYS[1], 'revoked', ARGV[2]) end
return {'ok', redis.call('HMGET', KEYS[1], 'sub', 'name', 'role', 'room', 'created', 'expires', 'revoked')}
