-- One unit of an owner: how far the inbox has been read, the journal's entry, the messages for others.
--
-- Asked again because the answer was lost, it is recognised by its number and writes nothing. A unit that is not the next one
-- means that Redis has forgotten some, or the claim.
--
-- KEYS: state, journal, the streams that were read, the streams that are written to.
-- ARGV: fence, number of the unit, group, entry ('' for none), most entries of the journal (0: any number),
-- how many streams were read; for each the last place, how many messages, and the place before which they may go ('' for
-- none); then see publish.
local known = redis.call('HMGET', KEYS[1], 'fence', 'unit', 'place')
local fence, unit, place = known[1], known[2], known[3] or ''
if fence ~= ARGV[1] then
    return {'fence', fence or '0'}
end
if unit == ARGV[2] then
    return {'done', place}
end
if unit + 1 ~= tonumber(ARGV[2]) then
    return {'unit', unit}
end
local wrong = all_streams(2)
if wrong then
    return wrong
end

local read, at = tonumber(ARGV[6]), 7
for k = 3, 2 + read do -- first, since it does not count as taking memory: what empties the inbox goes on where that is full
    local number = (redis.call('HGET', KEYS[1], 'read ' .. KEYS[k]) or 0) + ARGV[at + 1]
    redis.call('XGROUP', 'SETID', KEYS[k], ARGV[3], ARGV[at], 'ENTRIESREAD', number)
    redis.call('HSET', KEYS[1], 'read ' .. KEYS[k], number)
    if ARGV[at + 2] ~= '' then
        redis.call('XTRIM', KEYS[k], 'MINID', '~', ARGV[at + 2])
    end
    at = at + 3
end
if ARGV[4] ~= '' then
    place = redis.call('XADD', KEYS[2], '*', 'entry', ARGV[4], 'after', place)
    redis.call('HSET', KEYS[1], 'place', place)
    if ARGV[5] ~= '0' then
        redis.call('XTRIM', KEYS[2], 'MAXLEN', '~', ARGV[5])
    end
end
redis.call('HSET', KEYS[1], 'unit', ARGV[2])
publish(3 + read, at)
return {'done', place}
