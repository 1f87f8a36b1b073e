-- The statements of the ledger's SQL tables, for SQLite and PostgreSQL. ${...} are words that differ: see `SqlTables`.

-- name: quarantine
-- Keep one malformed event.
INSERT INTO quarantine (detector, received_us, cause, field, body) VALUES (:detector, :received_us, :cause, :field, :body);

-- name: quarantined
-- Malformed events, newest first; a null detector means all.
SELECT detector, received_us, cause, field, body, id FROM quarantine
WHERE (CAST(:detector AS TEXT) IS NULL OR detector = :detector) AND (CAST(:before AS BIGINT) IS NULL OR id < :before)
    AND (CAST(:received_us AS BIGINT) IS NULL OR received_us = :received_us)
ORDER BY id DESC LIMIT :limit;

-- name: trim_quarantine
-- Forget all but the newest of a detector.
DELETE FROM quarantine WHERE detector = :detector
    AND id <= (SELECT id FROM quarantine WHERE detector = :detector ORDER BY id DESC LIMIT 1 OFFSET :most);

-- name: forget_quarantined
-- Remove one for good.
DELETE FROM quarantine WHERE id = :id;

-- name: quarantine_count
-- How many are kept; a null detector means all.
SELECT count(*) FROM quarantine WHERE (CAST(:detector AS TEXT) IS NULL OR detector = :detector);

-- name: add_to_history
-- A statement counts once, however often it is sent.
INSERT INTO label_history (detector, transaction_id, fraud, kind, source, known_us, received_us, rank)
VALUES (:detector, :transaction_id, :fraud, :kind, :source, :known_us, :received_us, :rank)
ON CONFLICT DO NOTHING;

-- name: put_label
-- The statement becomes the state unless one of higher rank, or as high and known later, is there.
INSERT INTO labels (detector, transaction_id, fraud, kind, source, known_us, received_us, rank)
VALUES (:detector, :transaction_id, :fraud, :kind, :source, :known_us, :received_us, :rank)
ON CONFLICT (detector, transaction_id) DO UPDATE SET
    fraud = excluded.fraud, kind = excluded.kind, source = excluded.source, known_us = excluded.known_us,
    received_us = excluded.received_us, rank = excluded.rank
WHERE (excluded.rank, excluded.known_us) >= (labels.rank, labels.known_us);

-- name: labels_of
-- The states of transactions.
SELECT detector, transaction_id, fraud, kind, source, known_us, received_us, rank FROM labels
WHERE detector = :detector AND transaction_id ${among};

-- name: label_history
-- Every statement about one transaction.
SELECT detector, transaction_id, fraud, kind, source, known_us, received_us, rank FROM label_history
WHERE detector = :detector AND transaction_id = :transaction_id ORDER BY id;

-- name: put_answer
-- The first answer counts.
INSERT INTO answers (detector, transaction_id, decision, cause, answered_us)
VALUES (:detector, :transaction_id, :decision, :cause, :answered_us)
ON CONFLICT DO NOTHING;

-- name: answer_of
-- What the caller was told.
SELECT detector, transaction_id, decision, cause, answered_us FROM answers
WHERE detector = :detector AND transaction_id = :transaction_id;

-- name: put_version
-- The first sight of a version counts.
INSERT INTO versions (detector, version, declared, first_seen_us) VALUES (:detector, :version, :declared, :first_seen_us)
ON CONFLICT DO NOTHING;

-- name: versions
-- Versions in the order they were first seen; a null detector means all.
SELECT detector, version, declared, first_seen_us FROM versions
WHERE (CAST(:detector AS TEXT) IS NULL OR detector = :detector) ORDER BY first_seen_us, ${row};

-- name: put_alert
-- The first sight of a key counts; gives it back where it was new.
INSERT INTO alerts (key, detector, rule, severity, at_us, body) VALUES (:key, :detector, :rule, :severity, :at_us, :body)
ON CONFLICT (key) DO NOTHING RETURNING key;

-- name: alerts
-- Alerts, newest first; a null detector means all.
SELECT key, detector, rule, severity, at_us, body, id FROM alerts
WHERE (CAST(:detector AS TEXT) IS NULL OR detector = :detector) AND (CAST(:before AS BIGINT) IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit;

-- name: put_delivery
-- The last word about a delivery counts.
INSERT INTO deliveries (key, channel, at_us, attempts, outcome, detail)
VALUES (:key, :channel, :at_us, :attempts, :outcome, :detail)
ON CONFLICT (key, channel) DO UPDATE SET
    at_us = excluded.at_us, attempts = excluded.attempts, outcome = excluded.outcome, detail = excluded.detail;

-- name: deliveries
-- Deliveries, newest first; null means any alert, any outcome.
SELECT key, channel, at_us, attempts, outcome, detail FROM deliveries
WHERE (CAST(:key AS TEXT) IS NULL OR key = :key) AND (CAST(:outcome AS TEXT) IS NULL OR outcome = :outcome) AND at_us >= :since_us
ORDER BY at_us DESC, key, channel LIMIT :limit;

-- name: put_layout
-- A layout never changes.
INSERT INTO layouts (layout_id, columns) VALUES (:layout_id, :columns)
ON CONFLICT DO NOTHING;

-- name: layouts
-- All layouts.
SELECT layout_id, columns FROM layouts;

-- name: put_setting
-- The last value counts.
INSERT INTO settings (${log}name, value) VALUES (${log_value}:name, :value)
ON CONFLICT (${log}name) DO UPDATE SET value = excluded.value;

-- name: setting
-- One value.
SELECT value FROM settings WHERE ${of_log}name = :name;
