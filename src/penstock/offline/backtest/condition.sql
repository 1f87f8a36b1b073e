-- The questions behind a backtest of a condition, in DuckDB's SQL over the views of an archive. ${...} is filled in by recorded.py.

-- name: newest
-- The newest decision that is not ahead of the clock, and whether anybody said anything of transactions.
SELECT (SELECT max(event_time) FROM ${table} WHERE ${mine} AND event_time <= make_timestamptz(${now_us})) AS newest, ${has_labels} AS has_labels

-- name: has_labels
-- Whether anything was said of any transaction by now.
EXISTS (SELECT 1 FROM labels WHERE ${mine} AND known_us <= ${now_us})

-- name: read
-- Decisions by day and by version of the detector, and how many of them know each column that the condition needs.
SELECT CAST(event_time AS DATE) AS day, ${version} AS version, count(*) AS n${known}
FROM ${table} WHERE ${within} GROUP BY ALL

-- name: matched
-- Decisions for which the condition is true, by everything that says what the rule would have changed, and some of each.
WITH known AS (${labels}),
hits AS (
    SELECT transaction_id, seq, event_time, decision, ${worth} AS worth, ${strongest} AS strongest, ${control} AS control,
        ${rules} AS rules
    FROM ${table} WHERE ${within} AND (${condition})
)
SELECT CAST(event_time AS DATE) AS day, decision, strongest, control,
    ${truth} AS truth,
    count(*) AS n, sum(worth) AS worth, count(*) FILTER (len(rules) > 0) AS caught${fired},
    max_by({'transaction_id': transaction_id, 'event_time': event_time, 'worth': worth, 'rules': rules}, event_time, ${shown})
        AS examples
FROM hits LEFT JOIN known USING (transaction_id, seq) GROUP BY ALL
