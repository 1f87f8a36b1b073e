"""The ledger's SQL tables in one SQLite file in WAL mode; all queries are in `sqlite.sql`."""

import re
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from penstock.errors import LedgerError, LedgerFull
from penstock.ledger.tables import Answered, Delivery, DetectorVersion, Field, Label, Outcome, Quarantined, Raised

_Layout = dict[str, list[Field]]
_Any = TypeVar("_Any")

_AT_ONCE = 100
"""Rows of one statement, where there are many. Each statement waits for the interpreter's lock in the end, and SQLite takes 999
values in one at least."""

_ROW = "(?, ?, ?, ?, ?, ?, ?, ?)"
"""The values of one label, as the statements name them."""


class SqliteTables:
    """`Tables` in a file, or in memory where `path` is None. Any thread may call; calls take turns."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._explained():
            name = ":memory:" if path is None else str(path)
            if path is not None:
                path.touch(mode=0o600)  # what SQLite puts beside it has the same mode
            self._db = sqlite3.connect(name, check_same_thread=False, timeout=10, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA secure_delete = ON")  # refused events that are forgotten are overwritten
            self._db.executescript(_queries()["schema"])

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            where = self._path or "the tables in memory"
            if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
                raise LedgerFull(f"no room for {where}: {error}; free space on this device") from error
            raise LedgerError(f"cannot use {where}: {error}; check the file and its device") from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is committed at the end of the block."""
        with self._lock, self._explained():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, self._explained():
            return self._db.execute(_queries()[query], values).fetchall()

    def quarantine(self, events: Sequence[Quarantined]) -> None:
        """Keep malformed events."""
        rows = [(e.detector, e.received_us, e.cause, e.field, e.body) for e in events]
        with self.writing() as db:
            db.executemany(_queries()["quarantine"], rows)

    def quarantined(
        self, detector: str | None = None, *, limit: int = 100, before: int | None = None, received_us: int | None = None
    ) -> list[Quarantined]:
        """Malformed events, newest first."""
        asked = {"detector": detector, "before": before, "limit": limit, "received_us": received_us}
        return [Quarantined(*row) for row in self._rows("quarantined", asked)]

    def quarantine_count(self, detector: str | None = None) -> int:
        """How many are kept."""
        return int(self._rows("quarantine_count", {"detector": detector})[0][0])

    def trim_quarantine(self, detector: str, most: int) -> None:
        """Forget all but the newest."""
        with self.writing() as db:
            db.execute(_queries()["trim_quarantine"], {"detector": detector, "most": most})

    def forget_quarantined(self, ids: Sequence[int]) -> None:
        """Remove these; also from the write-ahead log."""
        with self.writing() as db:
            db.executemany(_queries()["forget_quarantined"], [(each,) for each in ids])
        with self._lock, self._explained():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def put_labels(self, labels: Sequence[Label]) -> None:
        """Add statements, and update the states they take precedence in."""
        rows = [msgspec.structs.astuple(label) for label in labels]
        with self.writing() as db:
            for query in (_queries()["add_to_history"], _queries()["put_label"]):
                for some in _portions(rows):
                    db.execute(query.replace(_ROW, ", ".join([_ROW] * len(some))), [*chain.from_iterable(some)])

    def label_of(self, detector: str, transaction_id: str) -> Label | None:
        """The state of a transaction."""
        return next(iter(self.labels_of(detector, [transaction_id])), None)

    def labels_of(self, detector: str, transaction_ids: Sequence[str]) -> list[Label]:
        """The states of transactions."""
        found: list[Label] = []
        for some in _portions(transaction_ids):
            query = _queries()["labels_of"].replace("(?)", f"({', '.join('?' * len(some))})")
            with self._lock, self._explained():
                found += map(_label, self._db.execute(query, (detector, *some)))
        return found

    def label_history(self, detector: str, transaction_id: str) -> list[Label]:
        """All statements about a transaction."""
        return [_label(row) for row in self._rows("label_history", (detector, transaction_id))]

    def put_answers(self, answers: Sequence[Answered]) -> None:
        """Store the answers given to callers."""
        with self.writing() as db:
            db.executemany(_queries()["put_answer"], [msgspec.structs.astuple(answer) for answer in answers])

    def answer_of(self, detector: str, transaction_id: str) -> Answered | None:
        """The answer given in place of the decision."""
        return next((Answered(*row) for row in self._rows("answer_of", (detector, transaction_id))), None)

    def put_version(self, version: DetectorVersion) -> None:
        """Remember a detector version."""
        declared = msgspec.json.encode(version.declared).decode()
        with self.writing() as db:
            db.execute(_queries()["put_version"], (version.detector, version.version, declared, version.first_seen_us))

    def versions(self, detector: str | None = None) -> list[DetectorVersion]:
        """Versions seen, the oldest first."""
        rows = self._rows("versions", {"detector": detector})
        return [DetectorVersion(name, version, msgspec.json.decode(declared), seen) for name, version, declared, seen in rows]

    def put_alerts(self, alerts: Sequence[Raised], channels: Mapping[str, Sequence[str]]) -> set[str]:
        """Store new alerts, and their pending deliveries."""
        new: set[str] = set()
        with self.writing() as db:
            for alert in alerts:
                row = (alert.key, alert.detector, alert.rule, alert.severity, alert.at_us, alert.body)
                if db.execute(_queries()["put_alert"], row).fetchall():
                    new.add(alert.key)
                    waiting = [(alert.key, channel, alert.at_us, 0, "waiting", "") for channel in channels.get(alert.key, ())]
                    db.executemany(_queries()["put_delivery"], waiting)
        return new

    def alerts(self, detector: str | None = None, *, limit: int = 100, before: int | None = None) -> list[Raised]:
        """Alerts, newest first."""
        return [Raised(*row) for row in self._rows("alerts", {"detector": detector, "before": before, "limit": limit})]

    def put_delivery(self, delivery: Delivery) -> None:
        """Record the result of a delivery."""
        with self.writing() as db:
            db.execute(_queries()["put_delivery"], msgspec.structs.astuple(delivery))

    def deliveries(
        self, key: str | None = None, *, outcome: Outcome | None = None, since_us: int = 0, limit: int = 1000
    ) -> list[Delivery]:
        """Deliveries, newest first."""
        wanted = {"key": key, "outcome": outcome, "since_us": since_us, "limit": limit}
        return [Delivery(*row) for row in self._rows("deliveries", wanted)]

    def put_layout(self, layout_id: str, columns: Mapping[str, Sequence[Field]]) -> None:
        """Register a layout; one that is known must be the same.

        Raises:
            LedgerError: the id is known with other columns.
        """
        wanted = {name: list(fields) for name, fields in columns.items()}
        known = self.layouts().get(layout_id)
        if known is not None and known != wanted:
            raise LedgerError(f"layout {layout_id!r} is registered with other columns; give changed columns a new layout id")
        if known is None:
            with self.writing() as db:
                db.execute(_queries()["put_layout"], (layout_id, msgspec.json.encode(wanted).decode()))

    def layouts(self) -> dict[str, _Layout]:
        """All layouts."""
        return {name: msgspec.json.decode(columns, type=_Layout) for name, columns in self._rows("layouts")}

    def put_setting(self, name: str, value: Any) -> None:
        """Keep a value that JSON can hold."""
        with self.writing() as db:
            db.execute(_queries()["put_setting"], (name, msgspec.json.encode(value).decode()))

    def setting(self, name: str, default: Any = None) -> Any:
        """A value kept before."""
        rows = self._rows("setting", (name,))
        return msgspec.json.decode(rows[0][0]) if rows else default

    def close(self) -> None:
        """Close; twice is fine."""
        self._db.close()


def _portions(rows: Sequence[_Any]) -> Iterator[Sequence[_Any]]:
    return (rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE))


def _label(row: tuple[Any, ...]) -> Label:
    detector, transaction_id, fraud, *rest = row
    return Label(detector, transaction_id, bool(fraud), *rest)


@cache
def _queries() -> dict[str, str]:
    """The statements of `sqlite.sql` by name."""
    text = files("penstock.ledger").joinpath("sqlite.sql").read_text("utf-8")
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))
