-- Takes from a bucket by the generic cell rate algorithm, as package quota does, with Redis' clock for all servers.
-- KEYS: the bucket. ARGV: acts, microseconds between two, acts of a full bucket.
-- Returns 0, or the milliseconds after which to try again.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local acts, step, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full = burst * step
if acts > burst then return math.ceil(full / 1000) end
local tat = math.max(now, math.min(tonumber(redis.call('GET', KEYS[1]) or '0'), now + full))
local after = tat + acts * step
if after > now + full then return math.ceil((after - now - full) / 1000) end
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000) + 1)
return 0
