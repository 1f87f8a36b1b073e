"""The ledger's SQL tables in one SQLite file in WAL mode."""

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec

from penstock.database import SqliteDatabase
from penstock.database.sqlite import DatabaseTransaction
from penstock.ledger.sql_tables import Row, Run, SqlTables, Values, statement

T = TypeVar("T")

_AT_ONCE = 100
"""Rows of one statement, where there are many. Each statement waits for the interpreter's lock in the end, and SQLite takes 999
values in one at least."""

_INSERTED = re.compile(r"VALUES \((:\w+(?:, :\w+)*)\)")


class SqliteTables(SqlTables):
    """`Tables` in a file, or in memory where `path` is None. Any thread may call; calls take turns."""

    words: ClassVar[Mapping[str, str]] = {"among": "IN (:ids)", "row": "rowid", "log": "", "log_value": "", "of_log": ""}

    def __init__(self, path: Path | None = None) -> None:
        if path is not None:
            path.touch(mode=0o600)  # what SQLite puts beside it has the same mode
        self._database = SqliteDatabase(path)
        self._database.script(files("penstock.ledger").joinpath("sqlite.sql").read_text("utf-8"))

    @contextmanager
    def writing(self) -> Iterator[DatabaseTransaction]:
        """A transaction that is committed at the end of the block."""
        with self._database.write() as transaction:
            yield transaction

    def _rows(self, query: str, /, **values: Any) -> list[Row]:
        return self._database.read(statement(SqliteTables, query), values)

    def _transact(self, work: Callable[[Run], T]) -> T:
        with self.writing():
            return work(partial(_run, self._database.connection))

    def _states(self, detector: str, transaction_ids: Sequence[str]) -> Iterator[Row]:
        for some in _portions(transaction_ids):
            given = {f"id{at}": each for at, each in enumerate(some)}
            query = statement(SqliteTables, "labels_of").replace(":ids", ", ".join(f":{name}" for name in given))
            yield from self._database.read(query, {"detector": detector, **given})

    def _json(self, value: Any) -> str:
        return msgspec.json.encode(value).decode()

    def forget_quarantined(self, ids: Sequence[int]) -> None:
        """Remove these; also from the write-ahead log."""
        super().forget_quarantined(ids)
        self._database.scrub("quarantine")

    def close(self) -> None:
        """Close; twice is fine."""
        self._database.close()


def _run(db: sqlite3.Connection, name: str, rows: Sequence[Values]) -> list[Row]:
    sql = statement(SqliteTables, name)
    inserted = _INSERTED.search(sql)
    if len(rows) == 1 or inserted is None:
        found = [db.execute(sql, row).fetchall() for row in rows]
        return found[0] if len(found) == 1 else []
    names = inserted[1].replace(":", "").split(", ")
    places = f"({', '.join('?' * len(names))})"  # SQLite takes long to tell hundreds of names apart
    for some in _portions(rows):
        values = [row[name] for row in some for name in names]
        db.execute(sql.replace(inserted[0], f"VALUES {', '.join([places] * len(some))}"), values)
    return []


def _portions(rows: Sequence[T]) -> Iterable[Sequence[T]]:
    return (rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE))
