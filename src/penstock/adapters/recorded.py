"""Recorded and simulated events as items to send, in order, with each label at the time it became known."""

import heapq
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec
import polars as pl

from penstock.adapters.traffic import Item

_KNOWN = "label_known_at"
_encode = msgspec.json.Encoder().encode


def items(
    frames: Iterable[pl.DataFrame], *, id: str, time: str, label: str | None, drop: Iterable[str] = (), informing: bool = False
) -> Iterator[Item]:
    """Events and labels, ordered by arrival and by the instant at which a label became known.

    Args:
        frames: stretches of events in arrival order; may be endless.
        id: the id column.
        time: the event-time column; an event without `arrived_at` arrives at its time.
        label: the label column, which is never part of an event; None where there are no labels to send.
        drop: further columns that are not part of an event.
        informing: whether rows whose `type` is given are informing events, with a route of their own.

    >>> from datetime import UTC
    >>> day = lambda d: datetime(2026, 1, d, tzinfo=UTC)
    >>> frame = pl.DataFrame({"id": ["a", "b"], "at": [day(1), day(9)], "bad": [True, False], "label_known_at": [day(5), None]})
    >>> [item.path for item in items([frame], id="id", time="at", label="bad")]
    ['/predict', '/labels', '/predict']
    """
    hidden = {"row", "arrived_at", _KNOWN, *drop, *([label] if label else [])}
    pending: list[tuple[datetime, str, bool]] = []
    for frame in frames:
        for row in frame.iter_rows(named=True):
            arrived = row.get("arrived_at") or row[time]
            while pending and pending[0][0] <= arrived:
                yield _label(*heapq.heappop(pending))
            yield _event(row, hidden, informing=informing)
            if label and row[label] is not None and row.get(_KNOWN) is not None:
                heapq.heappush(pending, (row[_KNOWN], row[id], row[label]))
    while pending:
        yield _label(*heapq.heappop(pending))


def _event(row: dict[str, Any], hidden: set[str], *, informing: bool) -> Item:
    path = "/events" if informing and row.get("type") is not None else "/predict"
    return Item(path, _encode({name: value for name, value in row.items() if value is not None and name not in hidden}))


def _label(known_at: datetime, transaction_id: str, fraud: bool) -> Item:
    return Item(
        "/labels", _encode({"transaction_id": transaction_id, "fraud": fraud, "known_at": known_at, "source": "recorded"})
    )
