"""Alerts that somebody has seen and takes care of."""

from collections.abc import Sequence

import msgspec

from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database, Schema
from penstock.governance import audit

SCHEMA = Schema(
    "alerts",
    [
        [
            """CREATE TABLE alerts_acknowledged (key TEXT PRIMARY KEY, at_us BIGINT NOT NULL, who TEXT NOT NULL, note TEXT)""",
        ]
    ],
)

_COLUMNS = "key, at_us, who, note"


class Acknowledgement(msgspec.Struct, frozen=True):
    """Who has seen an alert, and when. key: the alert's."""

    key: str
    at_us: int
    who: str
    note: str | None = None


class AlertAcknowledgements:
    """The drawer. Any thread may call; every change is noted in the audit log with it.

    >>> from penstock.database import SqliteDatabase
    >>> drawer = AcknowledgedAlerts(SqliteDatabase())
    >>> drawer.put("shop:burst:17", "ana").who, drawer.put("shop:burst:17", "bob").who
    ('ana', 'ana')
    """

    def __init__(self, database: Database, clock: Clock = system_clock) -> None:
        database.prepare(audit.SCHEMA)
        database.prepare(SCHEMA)
        self._database = database
        self._clock = clock

    def put(self, key: str, who: str, note: str | None = None) -> Acknowledgement:
        """Write down that somebody takes care of an alert; who was first, stays."""
        now = self._clock()
        with self._database.write() as transaction:
            values = {"key": key, "at_us": now, "who": who, "note": note}
            added = transaction.run(
                f"INSERT INTO alerts_acknowledged ({_COLUMNS}) VALUES (:key, :at_us, :who, :note) "  # noqa: S608 - names of columns
                "ON CONFLICT (key) DO NOTHING RETURNING key",
                values,
            )
            if added:
                told = {} if note is None else {"note": note}
                audit.note(transaction, who=who, action="alerts.acknowledge", subject=f"alerts/{key}", details=told, at_us=now)
        return self.of([key])[key]

    def of(self, keys: Sequence[str]) -> dict[str, Acknowledgement]:
        """Those of these alerts that somebody has seen, by key."""
        if not keys:
            return {}
        names = {f"k{place}": key for place, key in enumerate(keys)}
        listed = ", ".join(f":{name}" for name in names)
        rows = self._database.read(f"SELECT {_COLUMNS} FROM alerts_acknowledged WHERE key IN ({listed})", names)  # noqa: S608 - names of parameters
        return {row[0]: Acknowledgement(*row) for row in rows}
