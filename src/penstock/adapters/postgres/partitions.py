"""Partitions by the day or month of writing: created ahead, dropped after the retention time.

Days of writing only ever grow along a log, so that a partition holds one stretch of it and the oldest are its beginning.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import psycopg
from psycopg import sql

from penstock.adapters.postgres.connection import Connection, connect, explained, place_of
from penstock.adapters.postgres.migrations import check
from penstock.clock import Clock, from_us, system_clock
from penstock.errors import ConfigurationError, LedgerError

PARTED = ("frames", "events")
_LOCK = 0x50656E74  # "Pent": the key of the advisory lock of those who make and drop partitions
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class DayRange:
    """A stretch of days with a separate partition in each table; `stop` is excluded."""

    first: date
    stop: date
    partition: str


@dataclass(frozen=True)
class Dropped:
    """What retention removed."""

    partitions: tuple[str, ...]
    rows: int
    quarantined: int


def ensure(db: Connection, day: date) -> list[DayRange]:
    """Create the partitions for this day and the next period; returns all existing ones.

    In a separate transaction: tables are made and attached without locking out readers and writers.
    """
    with db.transaction():
        db.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        [(kind,)] = db.execute("SELECT value FROM options WHERE name = 'partitions'").fetchall()
        known = _periods(db)
        current = next((each for each in known if each.first <= day < each.stop), None) or _made(db, known, day, kind)
        known.append(current)
        if not any(each.first <= current.stop < each.stop for each in known):
            known.append(_made(db, known, current.stop, kind))
    return known


def _periods(db: Connection) -> list[DayRange]:
    rows = db.execute("SELECT first_day, next_day, partition FROM periods ORDER BY first_day").fetchall()
    return [DayRange(*row) for row in rows]


def _made(db: Connection, known: list[DayRange], day: date, kind: str) -> DayRange:
    """A new period that holds a day, cut so that it meets no other."""
    first, stop = (day, day + _DAY) if kind == "day" else _month(day)
    first = max([first, *(each.stop for each in known if each.stop <= day)])
    stop = min([stop, *(each.first for each in known if each.first > day)])
    period = DayRange(first, stop, f"{first:%Y%m%d}")
    for table in PARTED:
        parent, child = sql.Identifier(table), sql.Identifier(f"{table}_{period.partition}")
        bounds = sql.SQL("FROM ({}) TO ({})").format(sql.Literal(first), sql.Literal(stop))
        db.execute(sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(child, parent))
        db.execute(sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES {}").format(parent, child, bounds))
    db.execute("INSERT INTO periods VALUES (%s, %s, %s)", (first, stop, period.partition))
    return period


def _month(day: date) -> tuple[date, date]:
    first = day.replace(day=1)
    return first, (first + 32 * _DAY).replace(day=1)


def retain(url: str, days: int, *, clock: Clock = system_clock) -> Dropped:
    """Drop partitions that end more than `days` days ago, and quarantined events received before then.

    Labels, versions and alerts stay: they are small, and name a transaction by its id alone.

    Raises:
        ConfigurationError: fewer than one day.
        LedgerError: the server does not answer, or a reader holds a partition that is to be dropped.
    """
    if days < 1:
        raise ConfigurationError(f"{days} days of retention would drop what is being written; keep at least 1")
    place = place_of(url)
    before = from_us(clock()).date() - days * _DAY
    with explained(place), connect(url) as db:
        check(db, place)
        try:
            return _dropped(db, before)
        except psycopg.errors.LockNotAvailable as error:
            raise LedgerError(f"old partitions in {place} are being read; nothing was dropped, try again later") from error


def _dropped(db: Connection, before: date) -> Dropped:
    with db.transaction():
        db.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        db.execute("SET LOCAL lock_timeout = '5s'")
        old = [period for period in _periods(db) if period.stop <= before]
        rows = 0
        for period in old:
            child = sql.Identifier(f"events_{period.partition}")
            [(count,)] = db.execute(sql.SQL("SELECT count(*) FROM {}").format(child)).fetchall()
            rows += count
            for table in PARTED:
                db.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(f"{table}_{period.partition}")))
        db.execute("DELETE FROM periods WHERE partition = ANY (%s)", ([period.partition for period in old],))
        deleted = db.execute(
            "DELETE FROM quarantine WHERE received_us < extract(epoch FROM %s::timestamp) * 1000000", (before,)
        )
        return Dropped(tuple(period.partition for period in old), rows, deleted.rowcount)
