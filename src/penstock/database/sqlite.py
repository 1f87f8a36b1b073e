"""The port of the office database, and its SQLite implementation.

Statements use the SQL that SQLite and PostgreSQL share (`INSERT ... ON CONFLICT`, `RETURNING`, `CREATE TABLE IF NOT
EXISTS`), with parameters as `:name`. Times are integers in microseconds, booleans 0 or 1, JSON is text. The program
generates ids; the database does not.
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

_CACHE_KB = 32_768  # holds the pages of a long list during its import
# Databases made by earlier versions call the namespace `drawer`.
_VERSIONS = "CREATE TABLE IF NOT EXISTS office_schema (drawer TEXT PRIMARY KEY, version INTEGER NOT NULL)"


class TableSchema(NamedTuple):
    """The tables of one namespace. steps: the n-th migrates from version n to n + 1; only append."""

    namespace: str
    steps: Sequence[Sequence[str]]


class DatabaseTransaction(Protocol):
    """A transaction of the office database."""

    def run(self, sql: str, values: Values = ...) -> list[Row]:
        """Run one statement and return its rows."""

    def insert(self, table: str, columns: str, rows: Iterable[Row]) -> None:
        """Insert many rows at once. columns: their names, separated by commas."""


class Database(Protocol):
    """The office database. Thread-safe.

    Every method raises LedgerError if the database cannot be reached, LedgerFull if its device is full.
    """

    def read(self, sql: str, values: Values = ...) -> list[Row]:
        """Run a query and return its rows."""

    @contextmanager
    def write(self) -> Iterator[DatabaseTransaction]:
        """Open a transaction. It commits when the block ends and rolls back when the block raises. Others wait meanwhile."""

    def prepare(self, schema: TableSchema) -> None:
        """Create or migrate the tables of a namespace. Processes may call it concurrently."""

    def scrub(self, *tables: str) -> None:
        """Erase deleted and overwritten values from the database's files as far as the server can."""

    def close(self) -> None:
        """Close; idempotent."""


def migrate(transaction: DatabaseTransaction, schema: TableSchema) -> None:
    """Apply the pending migrations of a namespace.

    Raises:
        LedgerError: a newer version of Penstock made the tables.
    """
    transaction.run(_VERSIONS)
    rows = transaction.run("SELECT version FROM office_schema WHERE drawer = :namespace", {"namespace": schema.namespace})
    reached = int(rows[0][0]) if rows else 0
    if reached > len(schema.steps):
        raise LedgerError(
            f"the tables of {schema.namespace!r} are of version {reached}, this program knows {len(schema.steps)};"
            " use a newer one"
        )
    for step in schema.steps[reached:]:
        for statement in step:
            transaction.run(statement)
    transaction.run(
        "INSERT INTO office_schema VALUES (:namespace, :version) ON CONFLICT (drawer) DO UPDATE SET version = excluded.version",
        {"namespace": schema.namespace, "version": len(schema.steps)},
    )


class SqliteDatabase:
    """`Database` in an SQLite file, or in memory if `path` is None.

    >>> database = SqliteDatabase()
    >>> database.prepare(TableSchema("notes", [["CREATE TABLE notes (id TEXT PRIMARY KEY, text TEXT NOT NULL)"]]))
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
    def write(self) -> Iterator[DatabaseTransaction]:
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
        """Run a script of statements that may be repeated safely."""
        with self._lock, self._explained():
            self.connection.executescript(sql)

    def prepare(self, schema: TableSchema) -> None:
        """See `Database.prepare`."""
        with self.write() as transaction:
            migrate(transaction, schema)

    def scrub(self, *_tables: str) -> None:
        """See `Database.scrub`. Old pages stay in the write-ahead log until it is truncated."""
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
        self.connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", rows)  # noqa: S608  the names come from the program


_PARAMETER = re.compile(r"(?<![:\w]):(\w+)")


def with_percent_names(sql: str) -> str:
    """Convert `:name` parameters to the `%(name)s` of psycopg.

    >>> with_percent_names("SELECT a FROM t WHERE b = :b AND c LIKE 'x%'")
    "SELECT a FROM t WHERE b = %(b)s AND c LIKE 'x%%'"
    """
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))
