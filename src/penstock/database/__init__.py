"""The office's database: SQL tables for what people decide and change, over SQLite or PostgreSQL.

sqlite      the port, and its SQLite implementation
statements  named SQL statements in files
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.database.sqlite import Database, SqliteDatabase, TableSchema
from penstock.private_files import keep_private, make_data_folder

__all__ = ["Database", "SqliteDatabase", "TableSchema", "open_office"]
"""The port, its embedded implementation, and the declaration of tables."""

FILE = "office.sqlite"
"""The embedded database, in the data folder."""


@contextmanager
def open_office(data: Path) -> Iterator[Database]:
    """The database of a data folder, closed at the end; several processes may have it open.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, open_office(Path(folder)) as database:
    ...     database.read("SELECT 1")
    [(1,)]

    Raises:
        ConfigurationError: the folder cannot be made or written.
    """
    make_data_folder(data)
    keep_private(data)
    (data / FILE).touch(mode=0o600)  # it holds password hashes; SQLite's additional files get the same mode
    database = SqliteDatabase(data / FILE)
    try:
        yield database
    finally:
        database.close()
