"""The database port, small enough to be the same for SQLite and PostgreSQL, and its SQLite implementation.

Statements are ordinary SQL that both understand (`INSERT ... ON CONFLICT`, `RETURNING`, `CREATE TABLE IF NOT EXISTS`),
with parameters as `:name`. Times are whole microseconds, booleans 0 and 1, JSON is text. Ids are texts or given by the
statement, never by the database.
"""

import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from penstock.errors import LedgerError, LedgerFull

Row = tuple[Any, ...]
Values = Mapping[str, Any]

_CACHE_KB = 32_768  # the pages of a long list during its import
_VERSIONS = "CREATE TABLE IF NOT EXISTS office_schema (drawer TEXT PRIMARY KEY, version INTEGER NOT NULL)"


class Schema(NamedTuple):
    """The tables of one namespace. steps: lists of statements; the n-th migrates from version n to n + 1, and never changes."""

    drawer: str
    steps: Sequence[Sequence[str]]


class Transaction(Protocol):
    """Statements that take effect together."""

    def run(self, sql: str, values: Values = ...) -> list[Row]:
        """Run one statement; returns the selected or returned rows."""

    def insert(self, table: str, columns: str, rows: Iterable[Row]) -> None:
        """Insert many rows, much faster than one by one. columns: their names, separated by commas."""


class Database(Protocol):
    """A database of small tables. Thread-safe.

    Every method raises LedgerError if the database does not answer, LedgerFull if there is no room.
    """

    def read(self, sql: str, values: Values = ...) -> list[Row]:
        """The rows of a query."""

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """One transaction at a time: durable when the block has ended, rolled back if it raises."""

    def prepare(self, schema: Schema) -> None:
        """Create or migrate the tables of a namespace; safe to call from many processes at once."""

    def scrub(self, *tables: str) -> None:
        """Remove deleted and overwritten data from the database's files, too, as far as possible."""

    def close(self) -> None:
        """Close; idempotent."""


def migrate(transaction: Transaction, schema: Schema) -> None:
    """Apply the pending migrations of a namespace.

    Raises:
        LedgerError: its tables were made by a newer version of the program.
    """
    transaction.run(_VERSIONS)
    rows = transaction.run("SELECT version FROM office_schema WHERE drawer = :drawer", {"drawer": schema.drawer})
    reached = int(rows[0][0]) if rows else 0
    if reached > len(schema.steps):
        raise LedgerError(
            f"the tables of {schema.drawer!r} are of version {reached}, this program knows {len(schema.steps)}; use a newer one"
        )
    for step in schema.steps[reached:]:
        for statement in step:
            transaction.run(statement)
    transaction.run(
        "INSERT INTO office_schema (drawer, version) VALUES (:drawer, :version) "
        "ON CONFLICT (drawer) DO UPDATE SET version = excluded.version",
        {"drawer": schema.drawer, "version": len(schema.steps)},
    )


class SqliteDatabase:
    """`Database` in a file, or in memory where `path` is None.

    >>> database = SqliteDatabase()
    >>> database.prepare(Schema("notes", [["CREATE TABLE notes (id TEXT PRIMARY KEY, text TEXT NOT NULL)"]]))
    >>> with database.write() as transaction:
    ...     _ = transaction.run("INSERT INTO notes VALUES (:id, :text)", {"id": "a", "text": "first"})
    >>> database.read("SELECT text FROM notes WHERE id = :id", {"id": "a"})
    [('first',)]
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.RLock()
        with self._explained():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            name = ":memory:" if path is None else str(path)
            self.connection = sqlite3.connect(name, check_same_thread=False, timeout=10, isolation_level=None)
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = FULL")
            self.connection.execute("PRAGMA secure_delete = ON")  # deleted data is overwritten, not only freed
            self.connection.execute(f"PRAGMA cache_size = -{_CACHE_KB}")

    def read(self, sql: str, values: Values | None = None) -> list[Row]:
        """See `Database.read`."""
        with self._lock, self._explained():
            return self.connection.execute(sql, values or {}).fetchall()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """See `Database.write`."""
        with self._lock, self._explained():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield _SqliteTransaction(self.connection)
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")

    def script(self, sql: str) -> None:
        """Run many statements, each of which may be repeated."""
        with self._lock, self._explained():
            self.connection.executescript(sql)

    def prepare(self, schema: Schema) -> None:
        """See `Database.prepare`."""
        with self.write() as transaction:
            migrate(transaction, schema)

    def scrub(self, *_tables: str) -> None:
        """See `Database.scrub`: old pages stay in the write-ahead log of all tables until that is emptied."""
        with self._lock, self._explained():
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close; idempotent."""
        self.connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            where = self._path or "the tables in memory"
            if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
                raise LedgerFull(f"no room for {where}: {error}; free space on this device") from error
            raise LedgerError(f"cannot use {where}: {error}; check the file and its device") from error


class _SqliteTransaction:
    def __init__(self, db: sqlite3.Connection) -> None:
        self.connection = db

    def run(self, sql: str, values: Values | None = None) -> list[Row]:
        return self.connection.execute(sql, values or {}).fetchall()

    def insert(self, table: str, columns: str, rows: Iterable[Row]) -> None:
        places = ", ".join("?" for _ in columns.split(","))
        self.connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", rows)  # noqa: S608  names that the program chose


_PARAMETER = re.compile(r"(?<![:\w]):(\w+)")


def with_percent_names(sql: str) -> str:
    """A statement with parameters as PostgreSQL's client expects them.

    >>> with_percent_names("SELECT a FROM t WHERE b = :b AND c LIKE 'x%'")
    "SELECT a FROM t WHERE b = %(b)s AND c LIKE 'x%%'"
    """
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))
