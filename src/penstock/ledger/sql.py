"""Read-only SQL over recorded rows in Parquet files: one SELECT, run by DuckDB without access to other files."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from penstock.errors import DataError
from penstock.ledger.expand import BASE

if TYPE_CHECKING:
    import duckdb

VIEWS = ("decisions", "labels", "informing", "loaded")
"""What SQL sees, beside `quarantine` and one view per detector with its decisions."""

_AGAIN_S = 0.05
"""Between two interrupts of a query that takes too long."""

Files = Mapping[tuple[str, str], Sequence[Path]]
"""Parquet files by detector and kind."""


def answer(
    sql: str,
    files: Files,
    scratch: Path,
    readable: Sequence[Path],
    *,
    quarantine: Path | None = None,
    limit_s: float | None = None,
) -> pl.DataFrame:
    """The result of one SELECT. Times are UTC.

    Args:
        sql: the query.
        files: of the views.
        scratch: a folder for the intermediate result.
        readable: the folders in which all of these lie.
        quarantine: the file of malformed events.
        limit_s: how long it may take.

    Raises:
        DataError: the SQL is not one SELECT, or does not fit the views; the message is DuckDB's. Or it took too long.
    """
    import duckdb  # half a second that a service which is never asked need not spend

    with duckdb.connect() as db:
        try:
            statements = db.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise DataError("a query is one SELECT over decisions, labels, informing, loaded or quarantine")
            _make_views(db, sql, files, quarantine)
            folders = ", ".join(map(_text, readable))
            db.execute(f"SET temp_directory = {_text(scratch / 'spill')}")
            db.execute(f"SET TimeZone = 'UTC'; SET allowed_directories = [{folders}]; SET enable_external_access = false")
            path = scratch / "answer.parquet"
            with _limited(db, limit_s):
                db.execute(f"COPY ({sql.strip().rstrip(';')}\n) TO {_text(path)} (FORMAT parquet)")
            return pl.read_parquet(path)
        except duckdb.InterruptException as error:
            raise DataError(f"the query was stopped after {limit_s:.0f} s; ask for less") from error
        except duckdb.Error as error:
            raise DataError(f"the query does not work: {error}") from error


@contextmanager
def _limited(db: "duckdb.DuckDBPyConnection", limit_s: float | None) -> Iterator[None]:
    """Interrupt this connection's query after a time limit."""
    if limit_s is None:
        yield
        return
    done = threading.Event()

    def stop() -> None:
        over = done.wait(limit_s)
        while not over:
            db.interrupt()
            over = done.wait(_AGAIN_S)  # what interrupts a query just before it begins is lost

    stopping = threading.Thread(target=stop, name="penstock-query-limit", daemon=True)
    stopping.start()
    try:
        yield
    finally:
        done.set()
        stopping.join()


def _make_views(db: "duckdb.DuckDBPyConnection", sql: str, files: Files, quarantine: Path | None) -> None:
    """The views that the query names: making one opens all its files. All of them where it names none, for the error."""
    found = {kind: [path for (_, k), paths in files.items() if k == kind for path in paths] for kind in VIEWS}
    found["quarantine"] = [] if quarantine is None else [quarantine]
    for detector in {detector for detector, kind in files if kind == "decisions"} - set(found):
        found[detector] = list(files[detector, "decisions"])
    asked = sql.lower()
    for name in [name for name in found if name.lower() in asked] or found:
        db.execute(_view(name, found[name]))


def _view(name: str, paths: Sequence[Path]) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    if not paths:
        types = {"seq": "BIGINT", "event_time": "TIMESTAMPTZ", "arrived_at": "TIMESTAMPTZ"}
        columns = ", ".join(f"NULL::{types.get(column, 'VARCHAR')} AS {column}" for column in BASE)
        return f"CREATE VIEW {quoted} AS SELECT {columns} WHERE false"
    listed = ", ".join(_text(path) for path in paths)
    return f"CREATE VIEW {quoted} AS SELECT * FROM read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"  # noqa: S608  # all quoted


def _text(value: Path) -> str:
    return "'" + str(value).replace("'", "''") + "'"
