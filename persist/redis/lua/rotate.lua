-- Replaces a refresh token by the next one. The rules are auth.Rotation's.
-- KEYS: the family. ARGV: old hash, next hash, now, when next expires, retries since, milliseconds to keep it.
-- Returns a verdict and the family's fields.
local key, old, now = KEYS[1], ARGV[1], tonumber(ARGV[3])
local flat = redis.call('HMGET', key, 'newest', 'previous', 'spent', 'revoked', 'expires', 't:' .. old, 't:' .. ARGV[2])
if not flat[6] then return {'unknown'} end
local function answer(verdict)
  return {verdict, redis.call('HMGET', key, 'sub', 'name', 'role', 'room', 'created', 'expires', 'revoked')}
end
local retry = flat[2] == old and tonumber(flat[3] or '0') > tonumber(ARGV[5])
if tonumber(flat[4] or '0') ~= 0 then return answer('revoked') end
if flat[1] ~= old and not retry then
  redis.call('HSET', key, 'revoked', ARGV[3])
  return answer('reused')
end
if tonumber(flat[5]) <= now then return answer('expired') end
if flat[7] then return {'duplicate'} end
if not retry then redis.call('HSET', key, 'previous', old, 'spent', ARGV[3]) end
redis.call('HSET', key, 'newest', ARGV[2], 'expires', ARGV[4], 't:' .. ARGV[2], '1')
redis.call('PEXPIRE', key, ARGV[6])
return answer('ok')
