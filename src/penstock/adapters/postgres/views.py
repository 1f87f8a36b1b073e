"""The SQL view of each detector, `decisions_<detector>`: a typed column for every field, feature, score and rule.

It shows rows of all shapes under the names of the newest one. It is replaced only when its text changes; a model version
with the same inputs leaves it as it is.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from penstock.adapters.postgres.connection import Connection

_log = logging.getLogger(__name__)

_BASE = (
    "seq",
    "transaction_id",
    "event_time",
    "arrived_at",
    "decided_at",
    "decision",
    "fraud_probability",
    "reasons",
    "rules",
    "degraded",
)
_TAKEN: Mapping[str, str] = {
    "decision": "(ARRAY['APPROVE', 'CHALLENGE', 'REVIEW', 'BLOCK'])[action + 1] AS decision",
    "fraud_probability": "nullif(probability, 'NaN') AS fraud_probability",
    "reasons": "coalesce(reasons, '[]') AS reasons",
    "rules": "coalesce(rules, '[]') AS rules",
}
_TYPED: Mapping[str, str] = {
    "number": "nullif({}, 'NaN')",
    "integer": "nullif({}, 'NaN')::bigint",
    "boolean": "nullif({}, 'NaN') = 1",
    "time": "timestamptz 'epoch' + nullif({}, 'NaN') * interval '1 microsecond'",
}
_SHAPES = """
    SELECT shape, numbers, number_types, texts FROM shapes WHERE detector = %s
    AND (detector_version IS NOT NULL OR NOT EXISTS (
        SELECT FROM shapes WHERE detector = %s AND detector_version IS NOT NULL)) ORDER BY shape
"""


def make_view(db: Connection, detector: str) -> bool:
    """Replace the view of a detector if it has changed; False if a reader prevented that."""
    statement = _statement(detector, db.execute(_SHAPES.encode(), (detector, detector)).fetchall()).as_string(db)
    option = f"view {detector}"
    if db.execute("SELECT 1 FROM options WHERE name = %s AND value = %s", (option, statement)).fetchall():
        return True
    try:
        with db.transaction():
            db.execute("SET LOCAL lock_timeout = '1s'")
            db.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(_name(detector)))
            db.execute(statement.encode())
            db.execute(
                "INSERT INTO options VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (option, statement),
            )
    except psycopg.errors.DependentObjectsStillExist:
        _log.warning("decisions_%s keeps its old columns: other views are made of it; drop them, and it is made anew", detector)
        return False
    except (psycopg.errors.LockNotAvailable, psycopg.errors.UniqueViolation):
        return False
    return True


def _name(detector: str) -> sql.Identifier:
    return sql.Identifier("penstock", f"decisions_{detector}")


def _statement(detector: str, shapes: Sequence[tuple[Any, ...]]) -> sql.Composed:
    wanted: list[sql.Composable] = [sql.SQL(_TAKEN.get(column, column)) for column in _BASE]
    taken = set(_BASE)
    _, numbers, types, texts = shapes[-1]
    for column, type_ in zip(numbers, types, strict=True):
        if column not in taken:
            place = _place("numbers", {shape: names for shape, names, _, _ in shapes}, column)
            wanted.append(sql.SQL(_TYPED.get(type_, "{}")).format(place) + sql.SQL(" AS ") + sql.Identifier(column))
            taken.add(column)
    for column in texts:
        if column not in taken:
            place = _place("texts", {shape: names for shape, _, _, names in shapes}, column)
            wanted.append(place + sql.SQL(" AS ") + sql.Identifier(column))
            taken.add(column)
    return sql.SQL(
        "CREATE VIEW {} AS SELECT {} FROM penstock.events WHERE kind = 0 AND shape IN"
        " (SELECT shape FROM penstock.shapes WHERE detector = {})"
    ).format(_name(detector), sql.SQL(", ").join(wanted), sql.Literal(detector))


def _place(array: str, names: Mapping[int, Sequence[str]], column: str) -> sql.Composable:
    """Where a column stands in an array; it may be elsewhere in rows of other shapes, or missing."""
    places = {shape: list(known).index(column) + 1 if column in known else None for shape, known in names.items()}
    if len(set(places.values())) == 1:
        return sql.SQL(f"{array}[{next(iter(places.values()))}]")
    cases = " ".join(f"WHEN {shape} THEN {array}[{place}]" for shape, place in places.items() if place is not None)
    return sql.SQL(f"CASE shape {cases} END")
