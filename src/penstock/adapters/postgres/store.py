"""The single writer of one log in PostgreSQL: a group of records per transaction, with position and fence.

A transaction first moves the log's position from where this writer left it, which fails if another owner has taken over
meanwhile. If the connection breaks while a group is committed, the position shows afterwards whether the commit took place.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from penstock.adapters.postgres import partitions, rows
from penstock.adapters.postgres.connection import CONNECTION_LOST, Connection, connect, place_of
from penstock.adapters.postgres.layouts import Shapes
from penstock.adapters.postgres.migrations import check
from penstock.adapters.postgres.tables import put
from penstock.clock import Clock, from_us
from penstock.errors import ConfigurationError, Fenced, LedgerDamaged
from penstock.ledger import INDEXED
from penstock.ledger.encoding import Header
from penstock.messages import Record

_EPOCH = date(1970, 1, 1)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Written:
    """A record on its way into the database."""

    record: Record
    header: Header
    frame: bytes


@dataclass(frozen=True)
class LogPosition:
    """Where a log stands."""

    log: int
    identity: str
    fence: int
    position: int
    next_seq: int


def place_in(db: Connection, name: str) -> LogPosition:
    """Where the log of this name stands; it is entered if it is new."""
    db.execute("INSERT INTO logs (name) VALUES (%s) ON CONFLICT DO NOTHING", (name,))
    return place_to_read(db, name)


def place_to_read(db: Connection, name: str) -> LogPosition:
    """Where the log of this name stands; nothing is changed.

    Raises:
        ConfigurationError: there is no such log.
    """
    rows = db.execute("SELECT log, identity::text, fence, position, next_seq FROM logs WHERE name = %s", (name,)).fetchall()
    if not rows:
        raise ConfigurationError(f"the database has no log {name!r}, only {', '.join(logs_with_records(db)) or 'none'}")
    return LogPosition(*rows[0])


def logs_with_records(db: Connection) -> list[str]:
    """The names of the logs that hold anything, sorted."""
    return [name for (name,) in db.execute("SELECT name FROM logs WHERE position > 0 ORDER BY name").fetchall()]


class Store:
    """The writer of one log. For one thread.

    Args:
        url: of the server.
        name: of the log.
        shapes: the column names of rows.
        clock: for the day of writing.
        alone: hold a lock as long as the connection lasts, so that a second writer is refused at once.
    """

    def __init__(self, url: str, name: str, shapes: Shapes, clock: Clock, *, alone: bool) -> None:
        self.at = place_of(url)
        self._url = url
        self._name = name
        self._shapes = shapes
        self._clock = clock
        self.alone = alone
        self._db: Connection | None = None
        self._periods: list[partitions.DayRange] = []
        self._day = _EPOCH
        self.place = LogPosition(0, "", 0, 0, 0)

    # ------------------------------------------------------------ ownership

    def open(self, *, read_only: bool = False) -> LogPosition:
        """Connect for the first time, and read the log's position.

        Raises:
            Fenced: somebody else holds the lock.
            ConfigurationError: the schema is not that of this version; read-only, there is no such log.
            psycopg.Error: the server does not answer, or refuses.
        """
        db = self._db = connect(self._url)
        check(db, self.at)
        self.place = place_to_read(db, self._name) if read_only else place_in(db, self._name)
        self._lock(db)
        [(newest,)] = db.execute("SELECT max(day) FROM frames WHERE log = %s", (self.place.log,)).fetchall()
        self._day = newest or _EPOCH
        return self.place

    def _lock(self, db: Connection) -> None:
        """Be the only owner. The server lets a lock go a moment after its holder has gone, so that is waited for."""
        until = time.monotonic() + _DROPPED_WITHIN_S
        while self.alone and not db.execute("SELECT pg_try_advisory_lock(%s, %s)", (_OWNER, self.place.log)).fetchall()[0][0]:
            if time.monotonic() > until:
                raise Fenced(
                    f"the ledger in {self.at} has another owner; one ledger has one. Stop that process, or name another one"
                )
            time.sleep(0.05)

    def take(self, fence: int | None) -> LogPosition:
        """Take ownership of the log with this fencing number; with the next one if None.

        Raises:
            Fenced: an owner with a higher number has written.
        """
        db = self._connected()
        found = db.execute(
            "UPDATE logs SET fence = coalesce(%(fence)s::bigint, fence + 1)"
            " WHERE log = %(log)s AND (%(fence)s::bigint IS NULL OR fence <= %(fence)s)"
            " RETURNING log, identity::text, fence, position, next_seq",
            {"fence": fence, "log": self.place.log},
        ).fetchall()
        if not found:
            raise Fenced(f"log {self._name!r} in {self.at} was taken over by an owner with a higher number than {fence}")
        self.place = LogPosition(*found[0])
        return self.place

    def _connected(self) -> Connection:
        if self._db is None or self._db.closed:
            self._db = connect(self._url)
            self._lock(self._db)
            self._periods = []
        return self._db

    # ------------------------------------------------------------ writing

    def check(self) -> None:
        """Ask the server for nothing, over a new connection where the last one has ended.

        Raises:
            Fenced, LedgerDamaged, psycopg.Error: as `write`.
        """
        self._guarded(lambda: self._current().execute("SELECT 1"))

    def write(self, group: Sequence[Written]) -> None:
        """Make records durable, all or nothing; records already present are skipped.

        Raises:
            Fenced: another owner has taken over.
            LedgerDamaged: the server has lost what it had acknowledged.
            psycopg.Error: the server does not answer, or refuses; nothing was written, or all of it.
        """
        self._guarded(lambda: self._write(group))

    def _guarded(self, work: Callable[[], object]) -> None:
        """Do this; a connection over which it failed is used no more."""
        try:
            work()
        except BaseException:
            self.drop()
            raise

    def _current(self) -> Connection:
        """A connection for which the durable end is known."""
        fresh = self._db is None or self._db.closed
        db = self._connected()
        if fresh:
            self._see(db)
        return db

    def _write(self, group: Sequence[Written]) -> None:
        db = self._current()
        new = [each for each in group if each.header.position >= self.place.position]
        if not new:
            return
        last = new[-1].header
        after = last.position + 1, last.first_seq + last.rows
        day = self._today(db)
        shapes = [self._shapes.of(each.record) for each in new]
        numbers = [self._shapes.numbers(db, each.record, shape) for each, shape in zip(new, shapes, strict=True)]
        with db.transaction():
            self._advance(db, *after)
            _put_labels(db, [each.record for each in new])
            frames = [rows.frame_row(each.header, each.frame, each.record.detector, day.days, self.place.log) for each in new]
            self._copy(db, day, "frames", rows.FRAMES, frames)
            events = [
                rows.event_rows(each.record, day.days, self.place.log, shape, number)
                for each, shape, number in zip(new, shapes, numbers, strict=True)
                if each.record.kind in INDEXED
            ]
            if events:
                self._copy(db, day, "events", rows.EVENTS, events)
        self.place = LogPosition(self.place.log, self.place.identity, self.place.fence, *after)

    def _see(self, db: Connection) -> None:
        """On a new connection: read the durable end, and whether this writer still owns the log."""
        found = place_in(db, self._name)
        if (found.identity, found.fence) != (self.place.identity, self.place.fence):
            raise self._fenced(found)
        if found.position < self.place.position:
            raise LedgerDamaged(
                f"{self.at} holds {found.position} records of log {self._name!r}, but had acknowledged {self.place.position}:"
                " it was restored from an older copy. Restart this process, which then goes on from there"
            )
        self.place = found

    def _advance(self, db: Connection, position: int, next_seq: int) -> None:
        place = self.place
        moved = db.execute(
            "UPDATE logs SET position = %s, next_seq = %s WHERE log = %s AND fence = %s AND position = %s",
            (position, next_seq, place.log, place.fence, place.position),
        )
        if moved.rowcount != 1:
            raise self._fenced(place_in(db, self._name))

    def _fenced(self, found: LogPosition) -> Fenced:
        return Fenced(
            f"log {self._name!r} in {self.at} was taken over: its owner has number {found.fence} and has come to record"
            f" {found.position}; this one has number {self.place.fence} and came to {self.place.position}. Stop one of them"
        )

    def _today(self, db: Connection) -> "_Day":
        """The day on which this is written, with its partition; never before that of an earlier record."""
        self._day = max(from_us(self._clock()).date(), self._day)
        period = self._period()
        if period is None:
            self._periods = partitions.ensure(db, self._day)
            period = self._period()
        assert period is not None
        return _Day((self._day - _EPOCH).days, period.partition)

    def _period(self) -> partitions.DayRange | None:
        return next((each for each in self._periods if each.first <= self._day < each.stop), None)

    def _copy(self, db: Connection, day: "_Day", table: str, columns: str, data: Sequence[bytes]) -> None:
        """Copy straight into the partition: the server need not look for it row by row."""
        statement = f"COPY {table}_{day.partition} ({columns}) FROM STDIN (FORMAT binary)"
        with db.cursor().copy(statement.encode()) as copy:
            copy.write(b"".join((rows.BEGIN, *data, rows.END)))

    def drop(self) -> None:
        """Close the connection; uncommitted work is lost."""
        if self._db is not None:
            try:
                self._db.close()
            except CONNECTION_LOST:  # pragma: no cover -- a connection in pieces
                _log.debug("a broken connection to %s could not be closed", self.at)
            self._db = None


@dataclass(frozen=True)
class _Day:
    """days: since 1970. partition: the name behind the table's."""

    days: int
    partition: str


_DROPPED_WITHIN_S = 5.0
_OWNER = 0x50656E6F  # "Peno": the first half of the key of the advisory lock of a log's owner


def _put_labels(db: Connection, records: Sequence[Record]) -> None:
    """Labels become the state of their transactions in the transaction that keeps their record."""
    labels = [row for record in records if record.kind == "labels" and "known_us" in record.columns for row in _labels(record)]
    if labels:
        put(db, "add_to_history", labels)
        put(db, "put_label", labels)


def _labels(record: Record) -> list[dict[str, object]]:
    columns: dict[str, Any] = record.columns
    names = ("fraud", "kind", "source", "known_us", "rank")
    labels = zip(*(columns[name] for name in names), strict=True)
    return [
        {
            "detector": record.detector,
            "transaction_id": record.ids[row],
            "fraud": bool(fraud),
            "kind": kind,
            "source": source,
            "known_us": int(known_us),
            "received_us": int(record.arrived_us[row]),
            "rank": int(rank),
        }
        for row, (fraud, kind, source, known_us, rank) in enumerate(labels)
    ]
