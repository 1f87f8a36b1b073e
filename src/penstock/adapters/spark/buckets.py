"""Feature computation for some keys of one entity, in sequence order, by the kernel that all parts share.

Keys are independent: a window, a counter or a label changes only the row and ring of one key. So the keys of an entity are
spread over buckets, each with a separate table. The stream's clock, which a bucket cannot know, comes with every event
(`clock`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from penstock.adapters.spark.blocks import block, numbers, pack, rows_of, unpack
from penstock.adapters.spark.scan import Opening, grouped, place_of
from penstock.detector import Detector
from penstock.features.kernel import words as k
from penstock.features.plan import EntityPlan
from penstock.features.table import Table
from penstock.messages import Type
from penstock.offline.replay import cuts

NEVER = np.iinfo(np.int64).max
"""The time at which the label of an event becomes known that is no fraud, as far as the data says."""


class Needs:
    """The columns of the layout that one entity's kernel reads and fills."""

    def __init__(self, detector: Detector, plan: EntityPlan) -> None:
        layout, p = detector.plan.layout, plan.plan
        texts = {column.index: column.name for column in layout.values() if column.type is Type.TEXT}
        wheres = [p.channels[:, k.C_WHERE], p.items[:, k.I_WHERE], p.distincts[:, k.D_WHERE], p.labels[:, k.L_WHERE]]
        items = _split(p.items, k.I_SOURCE, k.I_TEXT)
        distincts = _split(p.distincts, k.D_SOURCE, k.D_TEXT)
        self.numbers = _columns(p.channels[:, k.C_SOURCE], *wheres, items[0], distincts[0])
        self.codes = _columns(items[1], distincts[1])
        self.roles = len(plan.keys)
        self.labelled = plan.labelled
        self.by_time_known = bool(plan.known_kinds >> len(detector.schema.kinds) & 1)
        self.label_kind = len(detector.schema.kinds)
        self.width, self.text_width = layout.width, layout.text_width
        text = p.features[:, k.F_TEXT] == 1
        self.filled = [self._filled(p.features, ~text, role) for role in range(self.roles)]
        self.label_columns = [self._filled(p.features, text, role) for role in range(self.roles)]
        """By role: the number columns, and the text columns, that features of that role fill."""
        self.words = {at: texts[at] for at in _columns(p.items[p.features[text, k.F_SOURCE], k.I_SOURCE])}
        """The text columns whose values come back as features, with the fields that they are."""

    @staticmethod
    def _filled(features: NDArray[np.int64], where: NDArray[np.bool_], role: int) -> list[int]:
        return _columns(features[where & (features[:, k.F_ROLE] == role), k.F_OUT])

    @property
    def waits(self) -> bool:
        """Whether labels change its features."""
        return self.labelled or self.by_time_known


def _columns(*found: NDArray[np.int64]) -> list[int]:
    return sorted({int(at) for columns in found for at in columns if at >= 0})


def _split(table: NDArray[np.int64], source: int, text: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The number and the text columns that a table of the plan reads."""
    return table[table[:, text] == 0, source], table[table[:, text] == 1, source]


# ---------------------------------------------------------------- in a bucket


@dataclass(order=True, slots=True)
class _Expected:
    """A label that is not due yet: see `engine.label_queue`."""

    known_us: int
    sequence: int
    keys: list[int] = field(compare=False)
    time_us: int = field(compare=False)
    clock_us: int = field(compare=False)
    kind: int = field(compare=False)
    x: NDArray[np.float64] = field(compare=False)
    codes: NDArray[np.int64] = field(compare=False)


class StateBucket:
    """The state of some keys of one entity, advanced by blocks in sequence order."""

    def __init__(self, needs: Needs, plan: EntityPlan) -> None:
        self.needs, self.table = needs, Table(plan)
        self._expected: list[_Expected] = []
        self.sequence = 0
        self.words: dict[int, str] = {}

    def run(self, found: pa.RecordBatch) -> dict[str, Any]:
        """Update the state by a block's events; returns the features of its transactions, as columns with `row`."""
        needs, n = self.needs, len(found)
        keys = np.stack([numbers(found, f"key{role}") for role in range(needs.roles)], axis=1)
        kinds, times, paces = (np.array(numbers(found, name)) for name in ("kind", "time_us", "pace_us"))
        keep = np.array(numbers(found, "keep")).view(np.bool_)
        x, codes = np.full((n, needs.width), np.nan), np.zeros((n, needs.text_width), np.int64)
        for at in needs.numbers:
            x[:, at] = numbers(found, f"x{at}")
        for at in needs.codes:
            codes[:, at] = numbers(found, f"c{at}")
        for at in needs.words:
            self._learn(codes[:, at], found.column(f"t{at}"))
        for start, end in self._pieces(found, keys, kinds, times, x, codes):
            piece = slice(start, end)
            columns = keys[piece], kinds[piece], times[piece], paces[piece], keep[piece]
            self.table.apply(*columns, self.sequence + start, x[piece], codes[piece])
        self.sequence += n
        return self._results(found, keys, kinds, x, codes)

    # ---- labels

    def _pieces(
        self,
        found: pa.RecordBatch,
        keys: NDArray[np.int64],
        kinds: NDArray[np.uint8],
        times: NDArray[np.int64],
        x: NDArray[np.float64],
        codes: NDArray[np.int64],
    ) -> Iterator[tuple[int, int]]:
        """Stretches of the block in which no label becomes known; before each, those that are due enter state."""
        if "known_us" not in found.schema.names:
            yield 0, len(found)
            return
        clock, known = numbers(found, "clock_us"), numbers(found, "known_us")
        fraud = (known < NEVER) & (numbers(found, "keep") != 0)  # the label of an event that stays out of state changes nothing
        start = 0
        for own in cuts(clock, known, fraud):
            while start < own:
                self._apply_due(int(clock[start]))
                end = own
                if self._expected:
                    end = min(own, max(start + 1, int(np.searchsorted(clock, self._expected[0].known_us))))
                yield start, end
                for row in (start + np.flatnonzero(fraud[start:end])).tolist():
                    self._expect(row, keys, times, kinds, x, codes, known, clock)
                start = end

    def _expect(self, row, keys, times, kinds, x, codes, known, clock) -> None:  # type: ignore[no-untyped-def]
        heappush(
            self._expected,
            _Expected(
                int(known[row]),
                self.sequence + row,
                keys[row].tolist(),
                int(times[row]),
                int(clock[row]),
                int(kinds[row]),
                x[row : row + 1].copy(),
                codes[row : row + 1].copy(),
            ),
        )

    def _apply_due(self, clock_us: int) -> None:
        while self._expected and self._expected[0].known_us <= clock_us:
            label = heappop(self._expected)
            if self.needs.labelled:
                self.table.label(label.keys, label.time_us, label.sequence, label.kind, label.x, 0, 1)
            if self.needs.by_time_known:
                self._apply_known(label)

    def _apply_known(self, label: _Expected) -> None:
        """Apply the label as a separate event, at the time at which it became known."""
        known = np.array([label.known_us], np.int64)
        pace_us = np.array([max(label.known_us, label.clock_us)], np.int64)
        kind, keep = np.array([self.needs.label_kind], np.uint8), np.ones(1, np.bool_)
        keys = np.array([label.keys], np.int64)
        self.table.apply(keys, kind, known, pace_us, keep, label.sequence, label.x, label.codes, read=False)

    # ---- results

    def _learn(self, codes: NDArray[np.int64], texts: pa.Array) -> None:
        unique, first = np.unique(codes, return_index=True)
        self.words.update(zip(unique.tolist(), texts.take(pa.array(first)).to_pylist(), strict=True))
        self.words.pop(0, None)

    def _results(
        self,
        found: pa.RecordBatch,
        keys: NDArray[np.int64],
        kinds: NDArray[np.uint8],
        x: NDArray[np.float64],
        codes: NDArray[np.int64],
    ) -> dict[str, Any]:
        columns: dict[str, Any] = {"row": numbers(found, "row"), "kind": kinds}
        for role in range(self.needs.roles):
            columns[f"in{role}"] = (keys[:, role] != 0).view(np.uint8)
            columns |= {f"x{at}": x[:, at] for at in self.needs.filled[role]}
            for at in self.needs.label_columns[role]:
                columns[f"c{at}"] = codes[:, at]
                columns[f"t{at}"] = pa.array([self.words.get(code) for code in codes[:, at].tolist()], pa.string())
        return columns


class Running:
    """Blocks by group, in sequence order -> their features, by slice."""

    def __init__(self, opening: Opening, buckets: int, slices: int, places: tuple[int, ...]) -> None:
        self.opening, self.buckets, self.slices, self.places = opening, buckets, slices, places

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Process one partition, as called by Spark."""
        detector = self.opening.source.detector
        for group, cells in grouped(rows_of(batches), "group"):
            plan = detector.plan.entities[group // self.buckets]
            bucket = StateBucket(Needs(detector, plan), plan)
            for cell in cells:
                number = int(cell["slice"])
                place = self.places[place_of(number, self.slices, len(self.places))]
                yield block(group, number, place, pack(bucket.run(unpack(cell["data"]))))
