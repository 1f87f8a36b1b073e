-- The tables of a ledger in SQLite: everything people edit or look up. Times are microseconds since 1970 (UTC).
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
