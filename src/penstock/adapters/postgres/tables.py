"""The ledger's SQL tables (labels, quarantine, alerts, settings) in PostgreSQL."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, ClassVar, TypeVar

import msgspec

from penstock.adapters.postgres.connection import Connection, Shared
from penstock.database.sqlite import with_percent_names
from penstock.ledger.sql_tables import Row, Run, SqlTables, Values, statement

T = TypeVar("T")
_NO_NUL = str.maketrans("\0", "\u2400")


def kept(text: str) -> str:
    """The text as PostgreSQL can hold it: the character U+0000, which it cannot, is shown as U+2400."""
    return text.translate(_NO_NUL) if "\0" in text else text


class PostgresTables(SqlTables):
    """`Tables` on a connection that threads share. log: whose settings these are."""

    words: ClassVar[Mapping[str, str]] = {
        "among": "= ANY(:ids)",
        "row": "id",
        "log": "log, ",
        "log_value": ":log, ",
        "of_log": "log = :log AND ",
    }

    def __init__(self, url: str, log: int) -> None:
        self._server = Shared(url)
        self._log = log

    def _rows(self, query: str, /, **values: Any) -> list[Row]:
        return self._server.rows(_statement(query), _clean(values))

    def _transact(self, work: Callable[[Run], T]) -> T:
        def transaction(db: Connection) -> T:
            with db.transaction():
                return work(partial(put, db))

        return self._server.use(transaction)

    def _states(self, detector: str, transaction_ids: Sequence[str]) -> list[Row]:
        return self._rows("labels_of", detector=detector, ids=[kept(each) for each in transaction_ids])

    def _json(self, value: Any) -> bytes:
        return msgspec.json.encode(value)

    def close(self) -> None:
        """Close; twice is fine."""
        self._server.close()


def put(db: Connection, name: str, rows: Sequence[Values]) -> list[Row]:
    """Execute a named statement for each of these rows, in the transaction that is open; returns the rows of a single one."""
    clean = [_clean(row) for row in rows]
    if len(clean) == 1:
        done = db.execute(_statement(name).encode(), clean[0])
        return done.fetchall() if done.description is not None else []
    if clean:
        db.cursor().executemany(_statement(name).encode(), clean)
    return []


@cache
def _statement(name: str) -> str:
    return with_percent_names(statement(PostgresTables, name))


def _clean(values: Values) -> dict[str, Any]:
    return {name: kept(value) if isinstance(value, str) else value for name, value in values.items()}
