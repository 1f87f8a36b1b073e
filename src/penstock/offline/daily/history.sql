-- The questions behind a day's report, in DuckDB's SQL over the views of the archive. ${...} is filled in by history.py;
-- ${time} is when a decision was made, or its event happened.

-- name: columns
-- The columns of a view.
SELECT * FROM ${view} LIMIT 0

-- name: newest
-- The newest day with decisions up to a day; what is stamped later is ahead of the clock.
SELECT max(CAST(${time} AS DATE)) AS day FROM decisions WHERE ${mine} AND CAST(${time} AS DATE) <= CAST(${last} AS DATE)

-- name: counts
-- The days with decisions up to an instant.
SELECT CAST(${time} AS DATE) AS day, count(*) AS n FROM decisions
WHERE ${mine} AND ${time} <= make_timestamptz(${known_us}) GROUP BY 1 ORDER BY 1 DESC

-- name: decided
-- Counts, money, latency and sums of scores by day and decision, and of all decisions of a day together (decision is null).
SELECT CAST(${time} AS DATE) AS day, decision, count(*) AS n, ${money} AS amount, ${degraded} AS degraded,
    quantile_cont(${latency}, 0.5) AS p50, quantile_cont(${latency}, 0.95) AS p95, quantile_cont(${latency}, 0.99) AS p99,
    count(${score}) AS scored, sum(${score}) AS score, sum(${score} * (1 - ${score})) AS spread,
    sum(${score} * coalesce(${worth}, 0)) AS score_amount,
    sum(${score} * (1 - ${score}) * coalesce(${worth}, 0) ** 2) AS amount_spread
FROM decisions WHERE ${between}
GROUP BY GROUPING SETS ((CAST(${time} AS DATE), decision), (CAST(${time} AS DATE)))

-- name: truth
-- What is known about decisions by day: frauds caught and missed, and good ones stopped.
WITH known AS (${labels})
SELECT CAST(${time} AS DATE) AS day, count(*) AS known,
    count(*) FILTER (fraud = 1 AND decision <> 'APPROVE') AS caught_n,
    sum(${worth}) FILTER (fraud = 1 AND decision <> 'APPROVE') AS caught_amount,
    count(*) FILTER (fraud = 1 AND decision = 'APPROVE') AS missed_n,
    sum(${worth}) FILTER (fraud = 1 AND decision = 'APPROVE') AS missed_amount,
    count(*) FILTER (fraud = 0 AND decision <> 'APPROVE') AS false_n,
    sum(${worth}) FILTER (fraud = 0 AND decision <> 'APPROVE') AS false_amount,
    count(*) FILTER (fraud = 1 AND decision = 'BLOCK') AS prevented_n,
    sum(${worth}) FILTER (fraud = 1 AND decision = 'BLOCK') AS prevented_amount,
    count(*) FILTER (fraud = 0 AND decision = 'BLOCK') AS blocked_good_n,
    sum(${worth}) FILTER (fraud = 0 AND decision = 'BLOCK') AS blocked_good_amount
FROM decisions JOIN known USING (transaction_id, seq) WHERE ${between} GROUP BY 1

-- name: quarantined
-- Malformed events by the day they were received.
SELECT CAST(received_at AS DATE) AS day, count(*) AS n FROM quarantine
WHERE ${mine} AND CAST(received_at AS DATE) BETWEEN ${first} AND ${last} GROUP BY 1

-- name: rules
-- How often rules fired by day, and how often on decisions that were no approvals.
SELECT CAST(${time} AS DATE) AS day, ${sums} FROM decisions WHERE ${between} GROUP BY 1

-- name: scores
-- Decisions by bin of their score.
WITH known AS (${labels})
SELECT ${bin} AS at,
    count(*) FILTER (decision = 'APPROVE') AS approved, count(*) FILTER (decision <> 'APPROVE') AS stopped,
    count(*) FILTER (known.fraud = 1) AS frauds
FROM decisions LEFT JOIN known USING (transaction_id, seq) WHERE ${between} AND fraud_probability IS NOT NULL GROUP BY 1

-- name: versions
-- Decisions by version of the models.
SELECT coalesce(versions_model, 'rules alone') AS version, count(*) AS n FROM decisions
WHERE ${between} GROUP BY 1 ORDER BY 2 DESC, 1

-- name: stopped
-- Decisions that were no approvals: how many, and some of them, evenly spread.
WITH numbered AS (
    SELECT seq, row_number() OVER (ORDER BY seq) AS place, count(*) OVER () AS n FROM decisions
    WHERE ${between} AND decision <> 'APPROVE'
)
SELECT seq, n FROM numbered WHERE place % greatest(1, CAST(ceil(n / ${most}) AS BIGINT)) = 0 ORDER BY seq
