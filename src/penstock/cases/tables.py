"""The tables of cases, and shared queries."""

import msgspec

from penstock.cases.case import Case, CaseMember, EntityKey
from penstock.cases.policy import NORMAL
from penstock.database.sqlite import Row, TableSchema
from penstock.decoding import prepared
from penstock.messages import NamedField

_CASES = """CREATE TABLE cases (
    id TEXT PRIMARY KEY, detector TEXT NOT NULL, transaction_id TEXT NOT NULL, origin TEXT NOT NULL,
    propensity DOUBLE PRECISION NOT NULL, queue TEXT NOT NULL, decision TEXT NOT NULL, score DOUBLE PRECISION,
    amount DOUBLE PRECISION, expected_loss DOUBLE PRECISION NOT NULL, reason TEXT, event_us BIGINT NOT NULL,
    opened_us BIGINT NOT NULL, owner TEXT, locked_until_us BIGINT, escalations INTEGER NOT NULL DEFAULT 0,
    verdict TEXT, reason_code TEXT, decided_by TEXT, decided_us BIGINT, untold INTEGER NOT NULL DEFAULT 0,
    known_fraud INTEGER, known_source TEXT, known_us BIGINT,
    version INTEGER NOT NULL DEFAULT 1, changes INTEGER NOT NULL DEFAULT 0)"""

_KEYS = """CREATE TABLE case_keys (
    entity TEXT NOT NULL, key TEXT NOT NULL, case_id TEXT NOT NULL, PRIMARY KEY (entity, key, case_id))"""

_HISTORY = """CREATE TABLE case_history (
    case_id TEXT NOT NULL, n INTEGER NOT NULL, at_us BIGINT NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, verdict TEXT,
    details TEXT NOT NULL, PRIMARY KEY (case_id, n))"""

_ATTACHMENTS = """CREATE TABLE case_attachments (
    id TEXT PRIMARY KEY, case_id TEXT NOT NULL, name TEXT NOT NULL, size BIGINT NOT NULL, sha256 TEXT NOT NULL,
    added_by TEXT NOT NULL, added_us BIGINT NOT NULL, content BYTEA NOT NULL)"""

_MEMBERS = """CREATE TABLE case_members (
    detector TEXT NOT NULL, transaction_id TEXT NOT NULL, case_id TEXT NOT NULL, n INTEGER NOT NULL,
    origin TEXT NOT NULL, propensity DOUBLE PRECISION NOT NULL, decision TEXT NOT NULL, score DOUBLE PRECISION,
    amount DOUBLE PRECISION, expected_loss DOUBLE PRECISION NOT NULL, reason TEXT, event_us BIGINT NOT NULL,
    added_us BIGINT NOT NULL, verdict TEXT, reason_code TEXT, decided_by TEXT, decided_us BIGINT,
    own INTEGER NOT NULL DEFAULT 0, untold INTEGER NOT NULL DEFAULT 0, known_fraud INTEGER, known_source TEXT, known_us BIGINT,
    currency TEXT, named TEXT, version INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (detector, transaction_id))"""

_OF_BEFORE = """INSERT INTO case_members (
    detector, transaction_id, case_id, n, origin, propensity, decision, score, amount, expected_loss, reason, event_us,
    added_us, verdict, reason_code, decided_by, decided_us, untold, known_fraud, known_source, known_us, currency, named)
    SELECT detector, transaction_id, id, 1, origin, propensity, decision, score, amount, expected_loss, reason, event_us,
    opened_us, verdict, reason_code, decided_by, decided_us, untold, known_fraud, known_source, known_us, currency, named
    FROM cases"""
"""Older cases had one transaction each."""

_ADDED = (
    "transactions INTEGER NOT NULL DEFAULT 1",
    "subject_entity TEXT",
    "subject_key TEXT",
    "assignee TEXT",
    "due_us BIGINT",
    f"priority INTEGER NOT NULL DEFAULT {NORMAL}",
    "priority_set INTEGER NOT NULL DEFAULT 0",
    "tags TEXT NOT NULL DEFAULT '[]'",
    "opinion_of TEXT",
    "opinion_by TEXT",
    "opinion_verdict TEXT",
    "opinion_reason TEXT",
    "undo TEXT",
    "undo_by TEXT",
    "undo_until_us BIGINT",
)

SCHEMA = TableSchema(
    "cases",
    [
        [
            _CASES,
            (
                "CREATE INDEX cases_waiting ON cases (queue, expected_loss DESC, opened_us, id, locked_until_us) "
                "WHERE verdict IS NULL"
            ),
            "CREATE INDEX cases_by_loss ON cases (expected_loss DESC, opened_us, id) WHERE verdict IS NULL",
            "CREATE INDEX cases_by_time ON cases (opened_us, id)",
            "CREATE INDEX cases_untold ON cases (decided_us, id) WHERE untold = 1",
            _KEYS,
            "CREATE INDEX case_keys_of ON case_keys (case_id)",
            _HISTORY,
            "CREATE INDEX case_verdicts ON case_history (at_us) WHERE verdict IS NOT NULL",
            "CREATE TABLE case_feeds (log TEXT PRIMARY KEY, position BIGINT NOT NULL)",
        ],
        ["ALTER TABLE case_feeds ADD COLUMN checksum BIGINT"],
        ["ALTER TABLE cases ADD COLUMN currency TEXT"],
        ["ALTER TABLE cases ADD COLUMN named TEXT"],
        [
            *(f"ALTER TABLE cases ADD COLUMN {column}" for column in _ADDED),
            _MEMBERS,
            _OF_BEFORE,
            "CREATE UNIQUE INDEX case_members_of ON case_members (case_id, n)",
            "CREATE INDEX case_members_untold ON case_members (detector, decided_us) WHERE untold = 1",
            "DROP INDEX cases_untold",
            "CREATE INDEX cases_of_subject ON cases (detector, subject_entity, subject_key) WHERE verdict IS NULL",
            "CREATE INDEX cases_by_priority ON cases (priority DESC, expected_loss DESC, opened_us, id) WHERE verdict IS NULL",
            "ALTER TABLE case_keys ADD COLUMN n INTEGER NOT NULL DEFAULT 1",
            "CREATE TABLE case_queues (queue TEXT PRIMARY KEY, due_minutes INTEGER)",
            "CREATE TABLE case_mentions (name TEXT NOT NULL, case_id TEXT NOT NULL, PRIMARY KEY (name, case_id))",
        ],
        [
            _ATTACHMENTS,
            "CREATE INDEX attachments_of_case ON case_attachments (case_id, added_us)",
        ],
    ],
)

FREE = "verdict IS NULL AND (locked_until_us IS NULL OR locked_until_us <= :now)"
"""The SQL condition of cases that anybody may take at `:now`."""

STATE = (
    "CASE WHEN verdict IS NOT NULL THEN 'decided' WHEN locked_until_us > :now THEN 'taken' "
    "WHEN escalations > 0 THEN 'escalated' ELSE 'open' END"
)
"""The state of a case at `:now`."""

_HELD = "CASE WHEN locked_until_us > :now THEN {0} END"

COLUMNS = (
    f"id, detector, transaction_id, origin, propensity, queue, {STATE}, decision, score, amount, expected_loss, reason, "
    f"event_us, opened_us, {_HELD.format('owner')}, {_HELD.format('locked_until_us')}, escalations, verdict, reason_code, "
    "decided_by, decided_us, known_fraud, known_source, known_us, version, currency, transactions, assignee, due_us, priority, "
    "opinion_of, opinion_by, opinion_verdict, opinion_reason, undo_by, undo_until_us, named, tags, subject_entity, subject_key"
)
"""The columns of `case.Case`, in its order; needs `:now`."""


def read_case(row: Row) -> Case:
    """A case from `COLUMNS`."""
    *columns, named, tags, entity, key = row
    case = Case(*columns)
    return msgspec.structs.replace(
        case,
        known_fraud=None if case.known_fraud is None else bool(case.known_fraud),
        named=_named(named),
        tags=msgspec.json.decode(tags, type=prepared(tuple[str, ...])),
        subject=None if entity is None else EntityKey(entity, key),
    )


MEMBER = ", ".join(CaseMember.__struct_fields__)
"""The columns of `case.Member`, in its order."""


def read_member(row: Row) -> CaseMember:
    """A member from `MEMBER`."""
    *columns, named = row
    member = CaseMember(*columns)
    known = None if member.known_fraud is None else bool(member.known_fraud)
    return msgspec.structs.replace(member, own=bool(member.own), known_fraud=known, named=_named(named))


def _named(written: str | None) -> tuple[NamedField, ...]:
    return () if written is None else msgspec.json.decode(written, type=prepared(tuple[NamedField, ...]))
