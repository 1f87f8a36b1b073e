-- name: schema
-- Everything people edit or look up. Times are microseconds since 1970 (UTC).
CREATE TABLE IF NOT EXISTS quarantine (
    id INTEGER PRIMARY KEY,
    detector TEXT NOT NULL,
    received_us INTEGER NOT NULL,
    cause TEXT NOT NULL,
    field TEXT,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS quarantine_by_detector ON quarantine (detector, id);
CREATE TABLE IF NOT EXISTS label_history (
    id INTEGER PRIMARY KEY,
    detector TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    fraud INTEGER NOT NULL,
    kind TEXT NOT NULL,
    source TEXT NOT NULL,
    known_us INTEGER NOT NULL,
    received_us INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    UNIQUE (detector, transaction_id, kind, source, known_us, fraud)
);
CREATE TABLE IF NOT EXISTS labels (
    detector TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    fraud INTEGER NOT NULL,
    kind TEXT NOT NULL,
    source TEXT NOT NULL,
    known_us INTEGER NOT NULL,
    received_us INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    PRIMARY KEY (detector, transaction_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (
    detector TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    decision TEXT NOT NULL,
    cause TEXT NOT NULL,
    answered_us INTEGER NOT NULL,
    PRIMARY KEY (detector, transaction_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS versions (
    detector TEXT NOT NULL,
    version TEXT NOT NULL,
    declared TEXT NOT NULL,
    first_seen_us INTEGER NOT NULL,
    PRIMARY KEY (detector, version)
);
CREATE TABLE IF NOT EXISTS alerts (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    detector TEXT NOT NULL,
    rule TEXT NOT NULL,
    severity TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS alerts_by_detector ON alerts (detector, id);
CREATE TABLE IF NOT EXISTS deliveries (
    key TEXT NOT NULL,
    channel TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (key, channel)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deliveries_by_time ON deliveries (at_us);
CREATE TABLE IF NOT EXISTS layouts (layout_id TEXT PRIMARY KEY, columns TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);

-- name: quarantine
-- Keep one malformed event.
INSERT INTO quarantine (detector, received_us, cause, field, body) VALUES (?, ?, ?, ?, ?);

-- name: quarantined
-- Malformed events, newest first; a null detector means all.
SELECT detector, received_us, cause, field, body, id FROM quarantine
WHERE (:detector IS NULL OR detector = :detector) AND (:before IS NULL OR id < :before)
    AND (:received_us IS NULL OR received_us = :received_us)
ORDER BY id DESC LIMIT :limit;

-- name: trim_quarantine
-- Forget all but the newest of a detector.
DELETE FROM quarantine WHERE detector = :detector
    AND id <= (SELECT id FROM quarantine WHERE detector = :detector ORDER BY id DESC LIMIT 1 OFFSET :most);

-- name: forget_quarantined
-- Remove one for good.
DELETE FROM quarantine WHERE id = ?;

-- name: quarantine_count
-- How many are kept; a null detector means all.
SELECT count(*) FROM quarantine WHERE (:detector IS NULL OR detector = :detector);

-- name: add_to_history
-- A statement counts once, however often it is sent.
INSERT OR IGNORE INTO label_history (detector, transaction_id, fraud, kind, source, known_us, received_us, rank)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: put_label
-- The statement becomes the state unless one of higher rank, or as high and known later, is there.
INSERT INTO labels (detector, transaction_id, fraud, kind, source, known_us, received_us, rank) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (detector, transaction_id) DO UPDATE SET
    fraud = excluded.fraud, kind = excluded.kind, source = excluded.source, known_us = excluded.known_us,
    received_us = excluded.received_us, rank = excluded.rank
WHERE (excluded.rank, excluded.known_us) >= (labels.rank, labels.known_us);

-- name: labels_of
-- The states of transactions, with a place for each id.
SELECT detector, transaction_id, fraud, kind, source, known_us, received_us, rank FROM labels
WHERE detector = ? AND transaction_id IN (?);

-- name: label_history
-- Every statement about one transaction.
SELECT detector, transaction_id, fraud, kind, source, known_us, received_us, rank FROM label_history
WHERE detector = ? AND transaction_id = ? ORDER BY id;

-- name: put_answer
-- The first answer counts.
INSERT OR IGNORE INTO answers (detector, transaction_id, decision, cause, answered_us) VALUES (?, ?, ?, ?, ?);

-- name: answer_of
-- What the caller was told.
SELECT detector, transaction_id, decision, cause, answered_us FROM answers WHERE detector = ? AND transaction_id = ?;

-- name: put_version
-- The first sight of a version counts.
INSERT OR IGNORE INTO versions (detector, version, declared, first_seen_us) VALUES (?, ?, ?, ?);

-- name: versions
-- Versions in the order they were first seen; a null detector means all.
SELECT detector, version, declared, first_seen_us FROM versions
WHERE (:detector IS NULL OR detector = :detector) ORDER BY first_seen_us, rowid;

-- name: put_alert
-- The first sight of a key counts; gives it back where it was new.
INSERT INTO alerts (key, detector, rule, severity, at_us, body) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO NOTHING RETURNING key;

-- name: alerts
-- Alerts, newest first; a null detector means all.
SELECT key, detector, rule, severity, at_us, body, id FROM alerts
WHERE (:detector IS NULL OR detector = :detector) AND (:before IS NULL OR id < :before) ORDER BY id DESC LIMIT :limit;

-- name: put_delivery
-- The last word about a delivery counts.
INSERT INTO deliveries (key, channel, at_us, attempts, outcome, detail) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (key, channel) DO UPDATE SET
    at_us = excluded.at_us, attempts = excluded.attempts, outcome = excluded.outcome, detail = excluded.detail;

-- name: deliveries
-- Deliveries, newest first; null means any alert, any outcome.
SELECT key, channel, at_us, attempts, outcome, detail FROM deliveries
WHERE (:key IS NULL OR key = :key) AND (:outcome IS NULL OR outcome = :outcome) AND at_us >= :since_us
ORDER BY at_us DESC, key, channel LIMIT :limit;

-- name: put_layout
-- A layout never changes.
INSERT OR IGNORE INTO layouts (layout_id, columns) VALUES (?, ?);

-- name: layouts
-- All layouts.
SELECT layout_id, columns FROM layouts;

-- name: put_setting
-- The last value counts.
INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: setting
-- One value.
SELECT value FROM settings WHERE name = ?;
