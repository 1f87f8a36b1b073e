-- Add messages to streams, in their order, and cut those streams that are capped.
-- KEYS from `key` on: the streams. ARGV from `at` on: how many streams, the most entries of each (0: any number), and then
-- for each message the number of its stream, its body, and the trace that it carries ('' for none).
local function publish(key, at)
    local streams = tonumber(ARGV[at])
    for k = at + streams + 1, #ARGV, 3 do
        if ARGV[k + 2] == '' then
            redis.call('XADD', KEYS[key + ARGV[k] - 1], '*', 'event', ARGV[k + 1])
        else
            redis.call('XADD', KEYS[key + ARGV[k] - 1], '*', 'event', ARGV[k + 1], 'traceparent', ARGV[k + 2])
        end
    end
    for k = 1, streams do
        if ARGV[at + k] ~= '0' then
            redis.call('XTRIM', KEYS[key + k - 1], 'MAXLEN', '~', ARGV[at + k])
        end
    end
end

-- Refuse before anything is written what would fail when half of it is: a script is not rolled back.
local function all_streams(key)
    for k = key, #KEYS do
        local kind = redis.call('TYPE', KEYS[k]).ok
        if kind ~= 'stream' and kind ~= 'none' then
            return redis.error_reply('WRONGTYPE ' .. KEYS[k] .. ' is a ' .. kind .. ', not a stream')
        end
    end
end
