"""The tables of webhooks, in the office."""

from penstock.database.sqlite import TableSchema

_ENDPOINTS = """CREATE TABLE webhook_endpoints (
    id TEXT PRIMARY KEY, url TEXT NOT NULL, description TEXT NOT NULL, types TEXT NOT NULL, detectors TEXT NOT NULL,
    decisions TEXT NOT NULL, enabled INTEGER NOT NULL, retention_us BIGINT NOT NULL, timeout_ms INTEGER NOT NULL,
    secret TEXT NOT NULL, previous TEXT, previous_until_us BIGINT, created_us BIGINT NOT NULL, created_by TEXT NOT NULL,
    reached BIGINT NOT NULL, generation INTEGER NOT NULL DEFAULT 0, tries BIGINT NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0, failing_since_us BIGINT, alerted INTEGER NOT NULL DEFAULT 0, next_us BIGINT,
    delivered_us BIGINT, error TEXT, owner TEXT, owned_until_us BIGINT)"""

_EVENTS = """CREATE TABLE webhook_events (
    seq BIGINT PRIMARY KEY, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, detector TEXT, decision TEXT, subject TEXT NOT NULL,
    at_us BIGINT NOT NULL, added_us BIGINT NOT NULL, body TEXT NOT NULL)"""

_ATTEMPTS = """CREATE TABLE webhook_attempts (
    endpoint TEXT NOT NULL, n BIGINT NOT NULL, event TEXT NOT NULL, type TEXT NOT NULL, subject TEXT NOT NULL,
    at_us BIGINT NOT NULL, attempt INTEGER NOT NULL, outcome TEXT NOT NULL, status INTEGER, took_ms INTEGER NOT NULL,
    detail TEXT NOT NULL, PRIMARY KEY (endpoint, n))"""

SCHEMA = TableSchema(
    "webhooks",
    [
        [
            _ENDPOINTS,
            _EVENTS,
            "CREATE INDEX webhook_events_by_age ON webhook_events (added_us, seq)",
            _ATTEMPTS,
            "CREATE TABLE webhook_head (id INTEGER PRIMARY KEY, seq BIGINT NOT NULL, audited BIGINT NOT NULL)",
            "INSERT INTO webhook_head (id, seq, audited) VALUES (1, 0, 0)",
        ]
    ],
)
