-- Fence every earlier owner, and hold the lease whoever held it. The answer is the number to commit with.
-- KEYS: state, lease. ARGV: token of the candidate, milliseconds of the lease.
local fence = redis.call('HINCRBY', KEYS[1], 'fence', 1)
redis.call('HSET', KEYS[1], 'unit', 0)
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return fence
