"""Pagination over the tables of several ledgers at once, newest first."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from penstock.ledger import Tables
from penstock.service.http.problems import RequestRefused
from penstock.service.port import Serving

_LONGEST = 18
"""Digits of a number that fits into 64 bits."""


class _Row(Protocol):
    @property
    def id(self) -> int: ...


R = TypeVar("R", bound=_Row)

Fetch = Callable[[Tables, int, int | None], Sequence[R]]
"""Called with tables, limit and cursor id: rows, newest first."""


class MergedCursor:
    """The position in each of several tables.

    cursor: of the page before.

    Raises:
        RequestRefused: 422, the cursor is invalid.
    """

    def __init__(self, tables: Sequence[Tables], cursor: str | None) -> None:
        self.tables = tables
        self._before: list[int | None] = [None] * len(tables)
        if cursor is not None:
            parts = cursor.split("~")
            if len(parts) != len(tables) or not all(is_number(part) or not part for part in parts):
                message = "the `next` of the page before is expected"
                raise RequestRefused(422, f"before={cursor[:60]!r} is not understood: {message}", [("before", message)])
            self._before = [int(part) if part else None for part in parts]

    @property
    def cursor(self) -> str:
        """The current position as text."""
        return "~".join("" if before is None else str(before) for before in self._before)

    def next(self, fetch: Fetch[R], at_us: Callable[[R], int], limit: int) -> list[R]:
        """The next rows, newest first; none at the end."""
        found: list[tuple[int, int, int, Any]] = []
        for place, tables in enumerate(self.tables):
            latest_us = sys.maxsize
            for row in fetch(tables, limit, self._before[place]):
                latest_us = min(latest_us, at_us(row))  # rows of one table stay in its order, which is that of the cursor
                found.append((-latest_us, place, -row.id, row))
        taken = sorted(found, key=lambda each: each[:3])[:limit]
        for _, place, _, row in taken:
            self._before[place] = row.id
        return [row for *_, row in taken]

    def following(self, fetch: Fetch[R]) -> str | None:
        """The value of `before` for the next page; None on the last."""
        more = any(fetch(tables, 1, self._before[place]) for place, tables in enumerate(self.tables))
        return self.cursor if more else None


def tables_of(desks: Sequence[Serving]) -> list[Tables]:
    """The tables of the ledgers of these detectors, each once; without those of detectors that are not ready."""
    found = (desk.engine.ledger.tables for desk in desks if desk.not_ready is None)
    return list({id(tables): tables for tables in found}.values())


def is_number(text: str) -> bool:
    """Whether this is a number that fits into 64 bits.

    >>> is_number("17"), is_number("-1"), is_number("")
    (True, False, False)
    """
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST
