"""Guards for the rollout of a rule version, which replace those of the detector's policy."""

from collections.abc import Sequence
from typing import Any

import msgspec

from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database, Schema
from penstock.governance.audit import AuditLog, note

SCHEMA = Schema(
    "rule_guards",
    [
        [
            """CREATE TABLE rule_guards (detector TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
            guards TEXT NOT NULL, PRIMARY KEY (detector, name, version))"""
        ]
    ],
)


class RuleGuards:
    """Guards by rule version of one detector, as JSON values; every change is audited in the same transaction.

    >>> from penstock.database.sqlite import SqliteDatabase
    >>> guards = RuleGuards(SqliteDatabase(), "banking", clock=lambda: 1)
    >>> guards.give("large", 2, [{"figure": "block_rate", "more": 0.02}], who="ann")
    >>> guards.of("large", 2), guards.of("large", 1)
    ([{'figure': 'block_rate', 'more': 0.02}], None)
    """

    def __init__(self, database: Database, detector: str, clock: Clock = system_clock) -> None:
        AuditLog(database)
        database.prepare(SCHEMA)
        self._database, self._detector, self._clock = database, detector, clock

    def give(self, name: str, version: int, guards: Sequence[dict[str, Any]], *, who: str) -> None:
        """Set the guards of a version; an empty list disables guards."""
        values = {"detector": self._detector, "name": name, "version": version}
        with self._database.write() as transaction:
            transaction.run(
                "INSERT INTO rule_guards (detector, name, version, guards) VALUES (:detector, :name, :version, :guards)"
                " ON CONFLICT (detector, name, version) DO UPDATE SET guards = excluded.guards",
                values | {"guards": msgspec.json.encode(list(guards)).decode()},
            )
            subject = f"{self._detector}/{name}/{version}"
            details = {"guards": list(guards)}
            note(transaction, who=who, action="rule.guard", subject=subject, details=details, at_us=self._clock())

    def of(self, name: str, version: int) -> list[dict[str, Any]] | None:
        """The guards of a version; None if not set, so that those of the policy apply."""
        rows = self._database.read(
            "SELECT guards FROM rule_guards WHERE detector = :detector AND name = :name AND version = :version",
            {"detector": self._detector, "name": name, "version": version},
        )
        return msgspec.json.decode(rows[0][0], type=list[dict[str, Any]]) if rows else None
