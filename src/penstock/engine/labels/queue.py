"""Labels on their way: each enters state when it becomes known, before the events that follow."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from penstock.features.state import OPEN, Closed, FeatureState
from penstock.ingest.selection import take
from penstock.messages import Batch


@dataclass(order=True, slots=True)
class PendingLabel:
    """A label that becomes known at `known_us`, for row `row` of a batch whose features have been computed.

    change: +1 where it says fraud, -1 where it takes an earlier fraud label back.
    """

    known_us: int
    order: int
    change: int = field(compare=False)
    sequence: int = field(compare=False)
    batch: Batch = field(compare=False)
    row: int = field(compare=False)


class LabelQueue:
    """Labels of the past and the future, in the order in which they become known.

    state: takes them in. kinds: how many kinds of events there are; an event of the next one stands for a label.

    labels: a heap of them.

    The clock is the stream's: a label known at t precedes the first event with a time of t or later, where an event
    stamped ahead of its arrival counts at its arrival.
    """

    def __init__(self, state: FeatureState, kinds: int) -> None:
        self._state = state
        self.labels: list[PendingLabel] = []
        self._order = 0
        self._kind = kinds
        plans = [table.plan for table in state.tables]
        self._by_time_known = any(plan.known_kinds >> kinds & 1 for plan in plans)
        labelled = any(plan.labelled for plan in plans) or any(links.plan.labelled for links in state.links)
        self.matter = self._by_time_known or labelled

    def __len__(self) -> int:
        return len(self.labels)

    def add(self, known_us: int, change: int, sequence: int, batch: Batch, row: int) -> None:
        """Expect a label; `batch` holds at least the event's own columns and those derived from them.

        The label of an event that was stamped too far ahead to enter state changes nothing.
        """
        ahead_us = int(batch.time_us[row]) - int(batch.arrived_us[row])
        if self.matter and change and ahead_us <= self._state.max_ahead_us:
            self._order += 1
            heapq.heappush(self.labels, PendingLabel(known_us, self._order, change, sequence, batch, row))

    def due_positions(self, batch: Batch) -> Iterator[tuple[int, int]]:
        """Rows before which labels fall due, each with the stream's clock there; `apply_due` is called at each."""
        if not self.labels or not len(batch):
            return
        clocks = stream_clock(batch, self._state.clock_us)
        while self.labels and self.labels[0].known_us <= clocks[-1]:
            row = int(np.searchsorted(clocks, self.labels[0].known_us))
            yield row, int(clocks[row])

    def apply_due(self, now_us: int, closed: Closed = OPEN) -> None:
        """Let every label known now into state; closed: see `Pipeline.enter`."""
        while self.labels and self.labels[0].known_us <= now_us:
            self._apply(heapq.heappop(self.labels), Closed(0, closed.level))

    def _apply(self, label: PendingLabel, closed: Closed) -> None:
        self._state.label(label.batch, label.row, label.sequence, label.change)
        if self._by_time_known and label.change > 0:
            known = take(label.batch, np.array([label.row]))
            known.kinds[:] = self._kind
            known.time_us[:] = label.known_us
            known.arrived_us[:] = label.known_us
            self._state.apply(known, label.sequence, read=False, moves=False, closed=closed)

    def saved(self) -> list[PendingLabel]:
        """The pending labels in order."""
        return sorted(self.labels)


def stream_clock(batch: Batch, before_us: int) -> NDArray[np.int64]:
    """The stream's clock at each event: the newest time by then, of events stamped ahead of their arrival the arrival."""
    clock: NDArray[np.int64] = np.maximum.accumulate(np.maximum(np.minimum(batch.time_us, batch.arrived_us), before_us))
    return clock
