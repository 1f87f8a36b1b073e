-- Hold the lease on, or take it where nobody has it. The answer is 1 for who holds it now.
-- KEYS: lease. ARGV: token of the candidate, milliseconds of the lease.
local holder = redis.call('GET', KEYS[1])
if not holder then
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
elseif holder == ARGV[1] then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
else
    return 0
end
return 1
