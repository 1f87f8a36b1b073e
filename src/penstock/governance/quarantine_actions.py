"""Actions on quarantined events: resubmitted, corrected, or dismissed.

The events themselves are stored with the ledger, and only the newest of them; this table stores one action for each.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from penstock import audit
from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database, Row, TableSchema
from penstock.errors import Conflict

SCHEMA = TableSchema(
    "quarantine",
    [
        [
            """CREATE TABLE quarantine_handled (id TEXT PRIMARY KEY, at_us BIGINT NOT NULL, who TEXT NOT NULL,
                outcome TEXT NOT NULL, reason TEXT, transaction_id TEXT)"""
        ]
    ],
)

Outcome = Literal["resubmitted", "dismissed"]
_COLUMNS = "id, at_us, who, outcome, reason, transaction_id"


class QuarantineAction(msgspec.Struct, frozen=True):
    """The action on a refused event. transaction_id: of the event that was sent in its place."""

    id: str
    at_us: int
    who: str
    outcome: Outcome
    reason: str | None = None
    transaction_id: str | None = None


class QuarantineActions:
    """Stores actions on quarantined events. Thread-safe; every change is audited in the same transaction.

    >>> from penstock.database import SqliteDatabase
    >>> actions = QuarantineActions(SqliteDatabase())
    >>> actions.put("shop:17:ab", "ana", "dismissed", reason="a test of the producer").outcome
    'dismissed'
    >>> list(actions.of(["shop:17:ab", "shop:18:cd"]))
    ['shop:17:ab']
    """

    def __init__(self, database: Database, clock: Clock = system_clock) -> None:
        database.prepare(audit.SCHEMA)
        database.prepare(SCHEMA)
        self._database = database
        self._clock = clock

    def put(
        self,
        event: str,
        who: str,
        outcome: Outcome,
        *,
        reason: str | None = None,
        transaction_id: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> QuarantineAction:
        """Store the action on an event. details: for the audit log.

        Raises:
            Conflict: the event has been handled.
        """
        handled = QuarantineAction(event, self._clock(), who, outcome, reason, transaction_id)
        with self._database.write() as transaction:
            names = ", ".join(f":{name}" for name in handled.__struct_fields__)
            added = transaction.run(
                f"INSERT INTO quarantine_handled ({_COLUMNS}) VALUES ({names}) ON CONFLICT (id) DO NOTHING RETURNING id",  # noqa: S608 - names of columns
                msgspec.structs.asdict(handled),
            )
            if not added:
                raise Conflict(f"somebody has handled {event} meanwhile; look at it again")
            details = {"reason": reason, "transaction_id": transaction_id, **(details or {})}
            details = {name: value for name, value in details.items() if value is not None}
            verb = "resubmit" if outcome == "resubmitted" else "dismiss"
            audit.note(
                transaction,
                who=who,
                action=f"quarantine.{verb}",
                subject=f"quarantine/{event}",
                details=details,
                at_us=handled.at_us,
            )
        return handled

    def of(self, events: Sequence[str]) -> dict[str, QuarantineAction]:
        """The actions on these events, by id; without unhandled ones."""
        if not events:
            return {}
        names = {f"e{place}": event for place, event in enumerate(events)}
        listed = ", ".join(f":{name}" for name in names)
        rows: list[Row] = self._database.read(f"SELECT {_COLUMNS} FROM quarantine_handled WHERE id IN ({listed})", names)  # noqa: S608 - names of parameters
        return {row[0]: QuarantineAction(*row) for row in rows}


def event_id(detector: str, received_us: int, cause: str, body: bytes) -> str:
    """The id of a refused event: the same on every process that stores it.

    >>> event_id("shop", 17, "amount is missing", b"{}")
    'shop:17:5d05f8d1'
    """
    return f"{detector}:{received_us}:{hashlib.sha256(cause.encode() + bytes(1) + body).hexdigest()[:8]}"
