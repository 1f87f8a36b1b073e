"""Acknowledgements of alerts."""

from collections.abc import Sequence

import msgspec

from penstock import audit
from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database, TableSchema

SCHEMA = TableSchema(
    "alerts",
    [
        [
            """CREATE TABLE alerts_acknowledged (key TEXT PRIMARY KEY, at_us BIGINT NOT NULL, who TEXT NOT NULL, note TEXT)""",
        ]
    ],
)

_COLUMNS = "key, at_us, who, note"


class Acknowledgement(msgspec.Struct, frozen=True):
    """Who acknowledged an alert, and when. key: the alert's."""

    key: str
    at_us: int
    who: str
    note: str | None = None


class AlertAcknowledgements:
    """Stores alert acknowledgements. Thread-safe; every change is audited in the same transaction.

    >>> from penstock.database import SqliteDatabase
    >>> acknowledgements = AlertAcknowledgements(SqliteDatabase())
    >>> acknowledgements.put("shop:burst:17", "ana").who, acknowledgements.put("shop:burst:17", "bob").who
    ('ana', 'ana')
    """

    def __init__(self, database: Database, clock: Clock = system_clock) -> None:
        database.prepare(audit.SCHEMA)
        database.prepare(SCHEMA)
        self._database = database
        self._clock = clock

    def put(self, key: str, who: str, note: str | None = None) -> Acknowledgement:
        """Acknowledge an alert; the first acknowledgement stays."""
        now = self._clock()
        with self._database.write() as transaction:
            values = {"key": key, "at_us": now, "who": who, "note": note}
            added = transaction.run(
                f"INSERT INTO alerts_acknowledged ({_COLUMNS}) VALUES (:key, :at_us, :who, :note) "  # noqa: S608 - names of columns
                "ON CONFLICT (key) DO NOTHING RETURNING key",
                values,
            )
            if added:
                details = {} if note is None else {"note": note}
                audit.note(
                    transaction, who=who, action="alerts.acknowledge", subject=f"alerts/{key}", details=details, at_us=now
                )
        return self.of([key])[key]

    def of(self, keys: Sequence[str]) -> dict[str, Acknowledgement]:
        """The acknowledgements of these alerts, by key."""
        if not keys:
            return {}
        names = {f"k{place}": key for place, key in enumerate(keys)}
        listed = ", ".join(f":{name}" for name in names)
        rows = self._database.read(f"SELECT {_COLUMNS} FROM alerts_acknowledged WHERE key IN ({listed})", names)  # noqa: S608 - names of parameters
        return {row[0]: Acknowledgement(*row) for row in rows}
