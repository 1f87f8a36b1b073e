-- The questions behind a backtest of a condition, in DuckDB's SQL over the views of an archive. ${...} is filled in by recorded.py.

-- name: columns
-- What is recorded of a detector: the columns of its view, and of what was said of its transactions.
SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE table_name IN (${table}, 'labels')

-- name: newest
-- The newest decision that is not ahead of the clock, and whether anybody said anything of transactions.
SELECT (SELECT max(event_time) FROM ${table} WHERE ${mine} AND event_time <= make_timestamptz(${now_us})) AS newest, ${told} AS told

-- name: told
-- Whether anything was said of any transaction by now.
EXISTS (SELECT 1 FROM labels WHERE ${mine} AND known_us <= ${now_us})

-- name: read
-- Decisions by day and by version of the detector, and how many of them know each column that the condition needs.
SELECT CAST(event_time AS DATE) AS day, ${version} AS version, count(*) AS n${known}
FROM ${table} WHERE ${within} GROUP BY ALL

-- name: labels
-- The statement that counts about each decision: of the most trusted source, then the latest. Where an id came again, a statement is
-- about the newest decision that had happened when it became known; clocks may differ, but not by more than a day.
SELECT transaction_id, seq, fraud FROM (
    SELECT said.fraud, said.rank, said.known_us, said.seq AS said, decided.transaction_id, decided.seq, row_number() OVER (
        PARTITION BY said.transaction_id, said.seq
        ORDER BY decided.event_time <= make_timestamptz(said.known_us) DESC, decided.seq DESC
    ) AS place
    FROM (SELECT * FROM labels WHERE ${mine} AND known_us <= ${now_us}) AS said
    JOIN (SELECT transaction_id, seq, event_time, arrived_at FROM ${table} WHERE ${mine}) AS decided
        ON said.transaction_id = decided.transaction_id
        AND least(decided.event_time, decided.arrived_at) <= make_timestamptz(said.known_us + 86400000000)
) WHERE place = 1
QUALIFY row_number() OVER (PARTITION BY transaction_id, seq ORDER BY rank DESC, known_us DESC, said DESC) = 1

-- name: matched
-- Decisions for which the condition is true, by everything that says what the rule would have changed, and some of each.
WITH known AS (${labels}),
hits AS (
    SELECT transaction_id, seq, event_time, decision, ${worth} AS worth, ${strongest} AS strongest, ${rules} AS rules
    FROM ${table} WHERE ${within} AND (${condition})
)
SELECT CAST(event_time AS DATE) AS day, decision, strongest,
    CASE
        WHEN known.fraud = 1 THEN 'fraud'
        WHEN known.fraud = 0 THEN 'good'
        WHEN NOT ${told} THEN 'untold'
        WHEN event_time > make_timestamptz(${mature_us}) THEN 'young'
        WHEN decision = 'APPROVE' THEN 'unobjected'
        ELSE 'untold'
    END AS truth,
    count(*) AS n, sum(worth) AS worth, count(*) FILTER (len(rules) > 0) AS caught${fired},
    max_by({'transaction_id': transaction_id, 'event_time': event_time, 'worth': worth, 'rules': rules}, event_time, ${shown})
        AS examples
FROM hits LEFT JOIN known USING (transaction_id, seq) GROUP BY ALL
