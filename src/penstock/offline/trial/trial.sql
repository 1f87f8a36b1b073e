-- The questions behind the comparison of a champion and a candidate, in DuckDB's SQL over the views of an archive. ${...} is filled
-- in by recorded.py.

-- name: version
-- The versions of the models that were tried last.
SELECT max_by(versions_challenger, seq) AS version FROM ${table} WHERE ${mine} AND versions_challenger IS NOT NULL

-- name: newest
-- When the newest event of a trial was decided.
SELECT max(arrived_at) AS newest FROM ${table} WHERE ${mine} AND ${tried}

-- name: cells
-- Events by period, by what both decided, and by what is known of them. Periods are of arrival, for a trial runs in real time.
WITH known AS (${labels})
SELECT date_trunc('${period}', arrived_at) AS period, champion_decision AS champion, ${candidate} AS candidate,
    ${truth} AS truth,
    count(*) AS n, coalesce(sum(${worth}), 0) AS worth
FROM ${table} LEFT JOIN known USING (transaction_id, seq) WHERE ${within} GROUP BY ALL

-- name: scores
-- How the scores of both are distributed, in steps of a twentieth.
SELECT date_trunc('${period}', arrived_at) AS period, which, least(19, CAST(floor(20 * score) AS INTEGER)) AS step, count(*) AS n
FROM (
    SELECT arrived_at, unnest(['champion', 'candidate']) AS which, unnest([champion_score, ${candidate}]) AS score
    FROM ${table} WHERE ${within}
) WHERE score IS NOT NULL GROUP BY ALL

-- name: times
-- What both took in milliseconds, models to score, rules without the candidate and with it: every event waited for its batch.
SELECT date_trunc('${period}', arrived_at) AS period,
    quantile_cont(${champion}, 0.5) AS champion_p50, quantile_cont(${champion}, 0.99) AS champion_p99,
    quantile_cont(${candidate}, 0.5) AS candidate_p50, quantile_cont(${candidate}, 0.99) AS candidate_p99
FROM ${table} WHERE ${within} GROUP BY GROUPING SETS ((1), ())

-- name: blocks
-- What would be blocked, and the few of it that were let through, by what is known of them. Young ones tell nothing yet: their
-- frauds become known before it is known that the others are none.
WITH known AS (${labels})
SELECT control_share AS share, control_decision IS NOT NULL AS let_through,
    CASE
        WHEN event_time > make_timestamptz(${mature_us}) THEN 'unknown'
        WHEN known.fraud = 1 THEN 'fraud'
        WHEN known.fraud = 0 THEN 'good'
        WHEN ${has_labels} AND control_decision IS NOT NULL THEN 'unobjected'
        ELSE 'unknown'
    END AS truth,
    count(*) AS n, coalesce(sum(${worth}), 0) AS worth, coalesce(sum(power(${worth}, 2)), 0) AS squares
FROM ${table} LEFT JOIN known USING (transaction_id, seq)
WHERE ${within} AND control_share > 0 AND (control_decision = 'BLOCK' OR decision = 'BLOCK') GROUP BY ALL
