"""The governance database (users, keys, rules, cases, audit log) on PostgreSQL, shared by processes and machines."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache

import psycopg

from penstock.adapters.postgres.connection import CONNECTION_LOST, Connection, connect, place_of
from penstock.database.sqlite import DatabaseTransaction, Row, TableSchema, Values, migrate, with_percent_names
from penstock.errors import LedgerError, LedgerFull

SCHEMA = "penstock_office"
"""Where the tables lie: beside a ledger in the same database, if there is one."""

_LOCK = 0x4F666669  # "Offi": the key of the advisory lock of the writer
_SESSION = f"SET search_path = {SCHEMA}; SET lock_timeout = '10s'; SET plan_cache_mode = auto".encode()

_sql = cache(with_percent_names)


class PostgresDatabase:
    """`penstock.database.Database` on a server; the contract is described there.

    Transactions that write follow one another, in all processes together: each holds one lock from its beginning to its
    end. So a value read in one does not change before it is written, as in SQLite.

    Raises:
        ConfigurationError: this is no URL of PostgreSQL.
    """

    def __init__(self, url: str) -> None:
        self.place = place_of(url)
        self._url = url
        self._lock = threading.RLock()
        self._connection: Connection | None = None
        self._writing = False
        self._closed = False

    def read(self, sql: str, values: Values | None = None) -> list[Row]:
        """See `Database.read`. A connection that was lost is made once more."""
        with self._lock, self._explained():
            known = self._connection is not None
            try:
                return _run(self._alive(), sql, values)
            except CONNECTION_LOST:
                if self._writing or not known:
                    raise
                self._drop()
            return _run(self._alive(), sql, values)

    @contextmanager
    def write(self) -> Iterator[DatabaseTransaction]:
        """See `Database.write`."""
        with self._lock, self._explained():
            db = self._ready()
            self._writing = True
            try:
                with db.transaction():
                    db.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
                    yield _PostgresTransaction(db)
            finally:
                self._writing = False

    def prepare(self, schema: TableSchema) -> None:
        """See `Database.prepare`."""
        with self.write() as transaction:
            transaction.run(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            migrate(transaction, schema)

    def scrub(self, *tables: str) -> None:
        """See `Database.scrub`: rows that were changed or deleted go when the table is vacuumed."""
        with self._lock, self._explained():
            self._ready().execute(f"VACUUM {', '.join(tables)}".encode())

    def close(self) -> None:
        """Close; twice is fine."""
        with self._lock:
            self._closed = True
            self._drop()

    def _ready(self) -> Connection:
        """A working connection: a transaction must not begin on one that was lost while idle."""
        db = self._alive()
        try:
            db.execute("SELECT 1")
        except CONNECTION_LOST:
            self._drop()
            db = self._alive()
        return db

    def _alive(self) -> Connection:
        if self._closed:
            raise LedgerError(f"the office in {self.place} is closed")
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._url)
            self._connection.execute(_SESSION)
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except psycopg.errors.DiskFull as error:
            raise LedgerFull(f"no room for {self.place}: {_said(error)}; free space on the server's device") from error
        except psycopg.errors.LockNotAvailable as error:
            raise LedgerError(f"{self.place} is busy: another process writes for long; try again") from error
        except CONNECTION_LOST as error:
            raise LedgerError(f"{self.place} does not answer: {_said(error)}; check the server") from error
        except psycopg.Error as error:
            raise LedgerError(f"{self.place} refuses: {_said(error)}") from error


class _PostgresTransaction:
    def __init__(self, db: Connection) -> None:
        self._db = db

    def run(self, sql: str, values: Values | None = None) -> list[Row]:
        return _run(self._db, sql, values)

    def insert(self, table: str, columns: str, rows: Iterable[Row]) -> None:
        with self._db.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(row)


def _run(db: Connection, sql: str, values: Values | None) -> list[Row]:
    done = db.execute(_sql(sql).encode(), values or {})
    return done.fetchall() if done.description is not None else []


def _said(error: psycopg.Error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
