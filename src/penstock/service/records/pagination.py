"""Pagination, newest first: of recorded decisions across detectors, and of rows across the tables of several ledgers."""

import base64
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import msgspec

from penstock.decoding import prepared
from penstock.ledger import Tables
from penstock.service.decide.detectors import visible_detectors
from penstock.service.decide.port import ServedDetector
from penstock.service.http.problems import RequestRefused

_LONGEST = 18
"""Maximum digits of a number that fits into 64 bits."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The filters of the list; None is no condition. summary: decisions in one line each."""

    limit: int
    decision: str | None = None
    entity: str | None = None
    key: str | None = None
    rule: str | None = None
    from_us: int | None = None
    to_us: int | None = None
    summary: bool = False


class _Decided(msgspec.Struct):
    decided_at: str


def page(router: Sequence[ServedDetector], asked: PageRequest, before: str | None) -> tuple[list[bytes], str | None]:
    """One page, and the value of `before` for the next (None: it is the last)."""
    if len(router) == 1:
        return _fetch(router[0], asked, None if before is None else _checked(before))
    cursors = _read_cursors(before, [served.name for served in router])
    fetched = {served.name: _fetch(served, asked, cursors[served.name]) for served in router if served.name in cursors}
    merged = sorted(
        ((_decided_at(decision), name, decision) for name, (decisions, _) in fetched.items() for decision in decisions),
        key=lambda found: found[0],
        reverse=True,
    )[: asked.limit]
    following: dict[str, str | None] = {}
    for served in router:
        if served.name in fetched:
            shown = sum(name == served.name for _, name, _ in merged)
            following |= _following(served, asked, cursors[served.name], shown, fetched[served.name])
    return [decision for _, _, decision in merged], _write_cursors(following)


def _fetch(served: ServedDetector, asked: PageRequest, before: str | None) -> tuple[list[bytes], str | None]:
    return served.engine.history.transactions(
        limit=asked.limit,
        before=before,
        decision=asked.decision,
        entity=asked.entity,
        key=asked.key,
        rule=asked.rule,
        from_us=asked.from_us,
        to_us=asked.to_us,
        summary=asked.summary,
    )


def _following(
    served: ServedDetector, asked: PageRequest, before: str | None, shown: int, fetched: tuple[list[bytes], str | None]
) -> dict[str, str | None]:
    """The cursor of this detector's next page; empty if all was shown."""
    decisions, cursor = fetched
    if shown == len(decisions):
        return {} if cursor is None else {served.name: cursor}
    if shown == 0:
        return {served.name: before}
    return {served.name: _fetch(served, replace(asked, limit=shown), before)[1]}


def _decided_at(decision: bytes) -> str:
    return msgspec.json.decode(decision, type=prepared(_Decided)).decided_at


def _read_cursors(before: str | None, names: Sequence[str]) -> dict[str, str | None]:
    if before is None:
        return dict.fromkeys(names)
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(before), type=dict[str, str | None])
    except (ValueError, msgspec.MsgspecError):
        raise _not_a_cursor(before) from None
    return {name: None if cursor is None else _checked(cursor) for name, cursor in found.items()}


def _checked(cursor: str) -> str:
    """Validate a cursor of an engine, which is a sequence number."""
    if not is_number(cursor):
        raise _not_a_cursor(cursor)
    return cursor


def _not_a_cursor(text: str) -> RequestRefused:
    message = "the `next` of the page before is expected"
    return RequestRefused(422, f"before={text[:60]!r} is not understood: {message}", [("before", message)])


def _write_cursors(cursors: dict[str, str | None]) -> str | None:
    return base64.urlsafe_b64encode(msgspec.json.encode(cursors)).decode() if cursors else None


# ---------------------------------------------------------------- tables


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
                raise _not_a_cursor(cursor)
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


def tables_of(router: Sequence[ServedDetector]) -> list[Tables]:
    """The tables of the ledgers of these detectors, each once; without those of detectors that are not ready."""
    found = (served.engine.ledger.tables for served in router if served.not_ready is None)
    return list({id(tables): tables for tables in found}.values())


def of_visible(read: Callable[[str | None], list[R]], detector: str | None, limit: int) -> list[R]:
    """The newest rows of a table that detectors share: of the named one, or of those that the caller may see.

    read: the rows of a detector, or of all for None.
    """
    among = visible_detectors()
    if detector is not None or among is None:
        return read(detector)
    found = [row for name in sorted(among) for row in read(name)]
    return sorted(found, key=lambda row: row.id, reverse=True)[:limit]


def is_number(text: str) -> bool:
    """Whether this is a number that fits into 64 bits.

    >>> is_number("17"), is_number("-1"), is_number("")
    (True, False, False)
    """
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST
