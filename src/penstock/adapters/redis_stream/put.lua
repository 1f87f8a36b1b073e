-- A batch of a producer, once: one that comes again, or late, because its answer was lost writes nothing.
-- KEYS: the producer's mark, the streams. ARGV: the number of the batch, how many seconds the mark is kept, see publish.
if tonumber(redis.call('GET', KEYS[1]) or 0) >= tonumber(ARGV[1]) then
    return 0
end
local wrong = all_streams(2)
if wrong then
    return wrong
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
publish(2, 3)
return 1
