"""Listing recorded decisions, newest first: of one outcome, key, rule or time."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.engine.queries import EngineQueries, KeyRows
from penstock.engine.records import rule_of
from penstock.messages import Action, Record

if TYPE_CHECKING:
    from penstock.engine.engine import Engine

_MOST_SCANNED = 200_000
"""Rows that one listing reads at most; the answer then says where to go on."""

Wanted = Callable[[Record, int], bool]


def transactions(
    engine: "Engine",
    *,
    limit: int = 50,
    before: str | None = None,
    decision: str | None = None,
    entity: str | None = None,
    key: str | None = None,
    rule: str | None = None,
    from_us: int | None = None,
    to_us: int | None = None,
) -> tuple[list[bytes], str | None]:
    """Recorded decisions, newest first.

    limit: the most that are given. before: the `next` of the page before. decision: an action. entity, key: of one
    key, in any role. rule: those on which it fired, whether it acted or only watched. from_us, to_us: event times, the end
    excluded. Returns the decisions and the next `before`.
    """
    look, action = engine.queries, Action.named(decision).value if decision else None
    filters: list[Wanted] = []
    if entity is not None:
        filters.append(_among(KeyRows(look, look.table(entity), key or "").of))
    if rule is not None:
        filters.append(_among(lambda record: _rows_fired(look, record, rule)))
    page: list[bytes] = []
    position = int(before) if before is not None else None
    rows = engine.ledger.recent(engine.detector.name, before=position)
    for scanned, (record, row) in enumerate(rows, 1):
        seq = record.first_seq + row
        if _fits(record, row, action, from_us, to_us) and all(wanted(record, row) for wanted in filters):
            page += look.render(record, [row])
        if len(page) == limit or scanned == _MOST_SCANNED:
            return page, str(seq)
    return page, None


def _among(rows_of: Callable[[Record], Iterable[int]]) -> Wanted:
    """Whether a row is among those of its record; these are found once for a record, not for each row."""
    held: tuple[Record | None, frozenset[int]] = (None, frozenset())

    def wanted(record: Record, row: int) -> bool:
        nonlocal held
        if held[0] is not record:
            held = (record, frozenset(rows_of(record)))
        return row in held[1]

    return wanted


def _rows_fired(look: EngineQueries, record: Record, rule: str) -> Iterable[int]:
    names, x = look.names_in(record), record.columns["x"]
    places = [place for place, name in enumerate(names) if rule_of(name, names) == rule]
    found: list[int] = np.flatnonzero((x[:, places] == 1).any(axis=1)).tolist()  # type: ignore[call-overload]  # a matrix
    return found


def _fits(record: Record, row: int, action: int | None, from_us: int | None, to_us: int | None) -> bool:
    time_us = int(record.time_us[row])
    if (from_us is not None and time_us < from_us) or (to_us is not None and time_us >= to_us):
        return False
    columns: Any = record.columns
    return action is None or int(columns["action"][row]) == action
