-- One write of the sink. Redis runs a script as a whole or not at all, also into its append-only file.
--
-- KEYS   1 fence, 2 cursor, 3 prefix of decisions, 4 channel of decisions, 5 channel of alerts
-- ARGV   1 fence of who writes, 2 position and 3 row up to which this goes, 4 decisions' and 5 profiles' seconds to live,
--        6 position and 7 row that the write before it in the same pipeline goes up to; -1 in the first one,
--        8 profiles: msgpack after msgpack, each [key, "as_of", its time, field, value, ...] and then [fields without value]
--        9, 10 a decision's id and its JSON; 11, 12 the next one's; ...
--
-- Returns the fence in force: a higher one than that of who writes means that nothing was written.

local fence = tonumber(redis.call('GET', KEYS[1]) or '0')
if fence > tonumber(ARGV[1]) then
    return fence
end

local reached = redis.call('HMGET', KEYS[2], 'position', 'row')
local position, row = tonumber(reached[1] or '0'), tonumber(reached[2] or '0')
if position > tonumber(ARGV[2]) or (position == tonumber(ARGV[2]) and row >= tonumber(ARGV[3])) then
    return fence -- this was written already; its answer was lost on the way
end
if ARGV[6] ~= '-1' and (position ~= tonumber(ARGV[6]) or row ~= tonumber(ARGV[7])) then
    return redis.error_reply('the write before this one failed')
end

-- Profiles first: a key of another type, made by somebody else, must fail before anybody is told anything.
local profiles, at = ARGV[8], 0
local size = #profiles
while at >= 0 and at < size do
    local profile, absent
    at, profile, absent = cmsgpack.unpack_limit(profiles, 2, at)
    local key, time = profile[1], profile[3]
    local known = redis.call('HGET', key, profile[2])
    -- without the Z, instants with and without a fraction compare as texts
    if not known or string.sub(known, 1, -2) <= string.sub(time, 1, -2) then
        redis.call('HSET', unpack(profile))
        if known and #absent > 0 then
            redis.call('HDEL', key, unpack(absent))
        end
        if not known or string.sub(known, 1, 10) ~= string.sub(time, 1, 10) then
            redis.call('EXPIRE', key, ARGV[5]) -- once a day is enough
        end
    end
end

-- Quotes inside a text are escaped, so nothing in an event can be mistaken for these names.
for i = 9, #ARGV, 2 do
    local json = ARGV[i + 1]
    redis.call('SET', KEYS[3] .. ARGV[i], json, 'EX', ARGV[4])
    local short = string.sub(json, 1, string.find(json, ',"scores":', 1, true) - 1) .. '}'
    redis.call('PUBLISH', KEYS[4], short)
    if string.find(short, ',"decision":"BLOCK"', 1, true) then
        redis.call('PUBLISH', KEYS[5], short)
    end
end

redis.call('HSET', KEYS[2], 'position', ARGV[2], 'row', ARGV[3])
return fence
