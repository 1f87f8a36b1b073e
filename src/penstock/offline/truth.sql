-- What is known of decisions, in DuckDB's SQL over the views of an archive. ${...} is filled in by those who ask.

-- name: columns
-- What is recorded of a detector: the columns of its view, and of what was said of its transactions.
SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE table_name IN (${table}, 'labels')

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

-- name: truth
-- A field of `Truth`, of a decision joined with what `labels` knows of it.
CASE
    WHEN known.fraud = 1 THEN 'fraud'
    WHEN known.fraud = 0 THEN 'good'
    WHEN NOT ${has_labels} THEN 'untold'
    WHEN event_time > make_timestamptz(${mature_us}) THEN 'young'
    WHEN decision = 'APPROVE' THEN 'unobjected'
    ELSE 'untold'
END
