"""Incremental update of a sketch from a ledger: each call counts the decisions since the last one."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.decision.record import DECIDED_BY, TEXT
from penstock.ledger import Ledger
from penstock.messages import Record
from penstock.models.reference import Reference
from penstock.offline.daily.day import By
from penstock.offline.drift.sketch import DAY_US, HOUR_US, SCORE, DecisionColumns, Sketch

KEPT_D = 35
"""Days that a sketch holds: four weeks of trend, and a week before them."""

_AT_ONCE = 8_192
"""Rows that are counted together; between two such portions others may work."""

Pause = Callable[[float], None]
"""Called after every portion with the seconds it took."""


def _go_on(_seconds: float) -> None:
    """The default between portions: continue at once."""


class Watch:
    """The sketch of one detector's decisions in a ledger. One thread at a time.

    Args:
        ledger: where they are recorded.
        detector: its name.
        reference: whose columns are counted.
        version: of the models that the reference belongs to: scores of others are not counted.
        review_at: scores from here on are flagged.
        since_us: decisions that arrived before are not read; those of the last KEPT_D days unless given.
        by: the time by which decisions are counted.
    """

    def __init__(
        self,
        ledger: Ledger,
        detector: str,
        reference: Reference,
        *,
        version: str | None,
        review_at: float,
        since_us: int | None = None,
        by: By = "event",
    ) -> None:
        self._ledger, self._detector, self._version = ledger, detector, version
        self.sketch = Sketch(reference.columns, review_at=review_at)
        self._names = [column.name for column in reference.columns if column.kind == "number"]
        self._texts = [column.name for column in reference.columns if column.kind == "text"]
        self._since_us, self._by = since_us, by
        self._position: int | None = None
        self.begun_us: int | None = None

    def catch_up(self, pause: Pause = _go_on) -> None:
        """Count the decisions that became durable since the last call.

        Raises:
            LedgerError: the ledger does not answer, or is damaged.
        """
        if self._position is None:
            self._position = self._first()
        if self.begun_us is None:
            self.begun_us = self._begun()
        layouts = self._ledger.layouts()
        for portion in self._portions(self._position, self._ledger.durable_position):
            began = time.perf_counter()
            self.sketch.add(self._seen(portion, layouts))
            pause(time.perf_counter() - began)
        self._position = max(self._position, self._ledger.durable_position)
        if self.sketch.span is not None:
            self.sketch.forget(self.sketch.span[1] - KEPT_D * 24)

    def _first(self) -> int:
        """The position of the first record that is read."""
        first, stop = self._ledger.first_position, self._ledger.durable_position
        if stop <= first:
            return first
        since_us = self._since_us
        if since_us is None:
            newest = next(iter(self._ledger.recent(self._detector, limit=1)), None)
            since_us = 0 if newest is None else int(newest[0].arrived_us[-1]) - KEPT_D * DAY_US
        while first < stop:
            middle = (first + stop) // 2
            found = next(iter(self._ledger.read(middle)), None)
            if found is None or (len(found[1]) and int(found[1].arrived_us[-1]) >= since_us):
                stop = middle
            else:
                first = middle + 1
        return first

    def _begun(self) -> int | None:
        """The time of the detector's first event in the ledger; None if older ones were deleted."""
        if self._ledger.first_position > 0:
            return None
        for _, record in self._ledger.read(0, kinds=("decisions", "loaded")):
            if record.detector == self._detector and len(record):
                return int(self._times_us(record).min())
        return None

    def _times_us(self, record: Record) -> NDArray[np.int64]:
        """The times by which the rows of a record are counted; a time in the future is replaced by the arrival."""
        if self._by == "decided" and record.kind == "decisions":
            return np.full(len(record), record.meta["decided_us"], np.int64)
        return np.minimum(record.time_us, record.arrived_us)

    def _portions(self, first: int, stop: int) -> Iterator[list[Record]]:
        """Similar records of this detector, grouped to about the number of rows counted together."""
        waiting: list[Record] = []
        for position, record in self._ledger.read(first, kinds=("decisions",)):
            if position >= stop:
                break
            if record.detector != self._detector or not len(record):
                continue
            waiting.append(record)
            if sum(map(len, waiting)) >= _AT_ONCE:
                yield from _alike(waiting)
                waiting = []
        yield from _alike(waiting)

    def _seen(self, records: Sequence[Record], layouts: Mapping[str, Mapping[str, Sequence[Any]]]) -> DecisionColumns:
        layout = layouts.get(str(records[0].meta.get("layout")), {})
        places = {field.name: at for at, field in reversed(list(enumerate(layout.get("x", ()))))}
        scores = [field.name for field in layout.get("scores", ())]
        mine = self._version is None or _version(records[0]) == self._version
        x, scored = _joined(records, "x"), _joined(records, "scores")
        if DECIDED_BY in records[0].columns:  # scores of the rows that a challenger decided are its own
            scored = np.where((_joined(records, DECIDED_BY) == 0)[:, None], scored, np.nan)
        texts = [name for name in self._texts if TEXT + name in records[0].columns]
        return DecisionColumns(
            time_us=np.concatenate([self._times_us(record) for record in records]),
            numbers={name: x[:, places[name]] for name in self._names if name in places},
            texts={name: [text for record in records for text in record.columns[TEXT + name]] for name in texts},
            scores={name: scored[:, at] for at, name in enumerate(scores)} if mine and scores[:1] == [SCORE] else {},
            action=_joined(records, "action"),
        )


def _alike(records: Sequence[Record]) -> list[list[Record]]:
    """Neighbours with the same columns and the same models."""

    def kind(record: Record) -> tuple[Any, ...]:
        return record.meta.get("layout"), _version(record), sorted(record.columns)

    return [list(group) for _, group in groupby(records, kind)]


def _version(record: Record) -> Any:
    return record.meta.get("versions", {}).get("model")


def _joined(records: Sequence[Record], name: str) -> NDArray[Any]:
    return np.concatenate([record.columns[name] for record in records])


def hours_of(span_us: int) -> int:
    """A length of time in whole hours, at least one."""
    return max(round(span_us / HOUR_US), 1)
