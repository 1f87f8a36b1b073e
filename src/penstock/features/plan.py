"""Compilation of one entity's aggregates into the flat tables that the kernel reads.

What several aggregates share is stored once: equal window bounds are one cursor, equal (field, filter, event types,
role) one channel with one running total each of count, sum and squares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.clock import EVER_US
from penstock.features.entity import Aggregate, Entity
from penstock.features.kernel import words as k
from penstock.features.vocabulary import KINDS, RANKED, REMEMBERED, SCANNED
from penstock.messages import Column, Layout, Type

_NEEDS = {
    "sum": {k.C_SUM},
    "mean": {k.C_SUM},
    "std": {k.C_SUM, k.C_SQUARES},
    "session_count": {k.C_COUNT},
    "session_sum": {k.C_COUNT, k.C_SUM},
    "session_duration": {k.C_COUNT},
    **{kind: {k.C_VALUE} for kind in ("min", "max", "approx_quantile", *SCANNED)},
}
"""What ring entries keep of a channel for an aggregate."""
DEFAULT_SCALE = 1e6
"""Units per 1.0 of a summed field: sums are exact to 1e-6 unless the field says otherwise."""


@dataclass(frozen=True, slots=True)
class Stream:
    """The properties of a detector's stream that the compiler needs: see the options of `Detector`.

    kinds: the index of each event type; labels_kind: the pseudo-type under which labels arrive. wheres: the column of
    each filter. required: fields that are never null. scales: units per 1.0 of a field.
    """

    skew_us: int
    lateness_us: int
    kinds: Mapping[Any, int]
    labels_kind: int
    wheres: Mapping[str, Column]
    required: frozenset[str]
    scales: Mapping[str, float]


@dataclass(slots=True)
class EntityPlan:
    """One entity's kernel plan and the columns that hold its keys, by role."""

    entity: Entity
    keys: list[list[Column]]
    plan: k.Plan
    labelled: bool

    @property
    def known_kinds(self) -> int:
        """Bit k is set where this entity takes in events of type k."""
        kinds: int = self.plan.sizes.known_kinds
        return kinds


def compile_entity(entity: Entity, features: Sequence[Aggregate], layout: Layout, stream: Stream) -> EntityPlan:
    """Compile the aggregates of one entity; their output columns are already in the layout."""
    return _PlanCompiler(entity, features, layout, stream).compile()


@dataclass(slots=True)
class _UniqueRows:
    """A table under construction, with equal rows stored once."""

    width: int
    rows: list[list[int]] = field(default_factory=list)
    known: dict[object, int] = field(default_factory=dict)

    def find(self, identity: object, first_words: Sequence[int]) -> int:
        """The index of the row with this identity, which is created from its first words if it is new."""
        if identity not in self.known:
            self.known[identity] = len(self.rows)
            self.rows.append([*first_words, *[-1] * (self.width - len(first_words))])
        return self.known[identity]

    def array(self) -> NDArray[np.int64]:
        """The finished table."""
        return np.array(self.rows, np.int64).reshape(len(self.rows), self.width)


def _made_from_spans_first(row: list[int]) -> bool:
    return row[k.F_OP] > k.STD


class _PlanCompiler:
    def __init__(self, entity: Entity, features: Sequence[Aggregate], layout: Layout, stream: Stream) -> None:
        self.entity, self.features, self.layout, self.stream = entity, features, layout, stream
        self.channels = _UniqueRows(k.C_WIDTH)
        self.items = _UniqueRows(k.I_WIDTH)
        self.distincts = _UniqueRows(k.D_WIDTH)
        self.labels = _UniqueRows(k.L_WIDTH)
        self.counters = _UniqueRows(k.K_WIDTH)
        self.extremes = _UniqueRows(2)
        self.sessions = _UniqueRows(k.Z_WIDTH)
        self.scales: list[float] = []
        windows = [f for f in features if KINDS[f.kind].looks == "window"]
        bounds = {f.delay_us for f in windows if f.delay_us} | {
            f.delay_us + f.window_us for f in windows if f.window_us < EVER_US
        }
        self.offsets = [-stream.skew_us, *sorted(bounds)]  # cursor 0 stands after the newest event that counts
        self.known_kinds = 0
        for feature in features:
            self.known_kinds |= self._kinds(feature)

    def compile(self) -> EntityPlan:
        rows = sorted((self._feature(feature) for feature in self.features), key=_made_from_spans_first)
        labelled = bool(self.labels.rows)
        ring_width, total_words, sequence = self._lay_ring(labelled)
        spans = self._spans(rows)
        counters = k.CURSORS + len(self.offsets)
        totals = self._lay_sketches(rows, self._lay_guesses(rows, counters + len(self.counters.rows)))
        items = totals + total_words + len(self.extremes.rows)
        row_width = self._lay_row(items)
        sizes = k.Sizes(
            skew=self.stream.skew_us,
            lateness=self.stream.lateness_us,
            retention=max([self.offsets[-1], *self._gaps()]) + self.stream.lateness_us,
            horizon=self._horizon(),
            keeps_rows=self._keeps_rows(),
            counters=counters,
            totals=totals,
            total_words=total_words,
            items=items,
            row_width=row_width,
            ring_width=ring_width,
            sequence=sequence,
            stepping=bool(self.counters.rows),
            mourns=bool(self.items.rows or self.distincts.rows or self.extremes.rows),
            summed=sum(row[k.F_OP] <= k.STD for row in rows),
            known_kinds=self.known_kinds,
            labels_kind=self.stream.labels_kind,
            recalls=bool(self.known_kinds >> self.stream.labels_kind & 1) or self._labels_for_ever(),
        )
        keys = [[self.layout[name] for name in names] for names in self.entity.keys]
        fields = [[role, column.type is Type.TEXT, column.index] for role, columns in enumerate(keys) for column in columns]
        plan = k.Plan(
            sizes=sizes,
            keys=np.array(fields, np.int64),
            offsets=np.array(self.offsets, np.int64),
            features=np.array(rows, np.int64).reshape(len(rows), k.F_WIDTH),
            spans=spans,
            channels=self.channels.array(),
            scales=np.array(self.scales, np.float64),
            extremes=self.extremes.array(),
            items=self.items.array(),
            distincts=self.distincts.array(),
            labels=self.labels.array(),
            counters=self.counters.array(),
            sessions=self.sessions.array(),
        )
        return EntityPlan(self.entity, keys, plan, labelled)

    def _spans(self, rows: list[list[int]]) -> NDArray[np.int64]:
        """The counted and summed spans: one channel within one window, shared by all features that need it."""
        spans = _UniqueRows(k.G_WIDTH)
        for row in rows:
            if row[k.F_OP] > k.LABEL_RATE:
                continue
            row[k.F_SOURCE] = self._counted_with(row)
            words = [row[word] for word in (k.F_ROLE, k.F_LOW, k.F_HIGH, k.F_SOURCE, k.F_CURRENT)]
            channel = self.channels.rows[row[k.F_SOURCE]]
            columns = [channel[k.C_COUNT], channel[k.C_SUM], channel[k.C_SQUARES]]
            row[k.F_SPAN] = spans.find(tuple(words), [*words, *columns])
        return spans.array()

    def _counted_with(self, row: list[int]) -> int:
        """The channel to count in: where every entry counts, one whose sum is wanted within the same window will do."""
        if row[k.F_OP] != k.COUNT or self.channels.rows[row[k.F_SOURCE]][k.C_COUNT] >= 0:
            return row[k.F_SOURCE]
        dense = (c for c, channel in enumerate(self.channels.rows) if channel[k.C_COUNT] < 0 <= channel[k.C_SUM])
        return next(dense, row[k.F_SOURCE])

    # ---- one feature

    def _feature(self, feature: Aggregate) -> list[int]:
        row = [-1] * k.F_WIDTH
        out = self.layout[feature.name]
        row[k.F_OP] = k.COUNT if feature.by == "known" else KINDS[feature.kind].op
        row[k.F_OUT] = out.index
        row[k.F_ROLE] = self.entity.roles.index(feature.at) if feature.at else 0
        if KINDS[feature.kind].looks == "session":
            row[k.F_HIGH] = 0
        elif feature.kind not in REMEMBERED:
            row[k.F_HIGH] = self.offsets.index(feature.delay_us) if feature.delay_us else 0
            ever = feature.window_us == EVER_US
            row[k.F_LOW] = -1 if ever else self.offsets.index(feature.delay_us + feature.window_us)
        row[k.F_WINDOW] = feature.window_us
        row[k.F_TEXT] = out.type is Type.TEXT
        row[k.F_MOST] = feature.values_read
        row[k.F_RANK] = feature.rank
        row[k.F_CURRENT] = self._sees_current(feature, row[k.F_ROLE])
        self._source(feature, row)
        return row

    def _sees_current(self, feature: Aggregate, at: int) -> bool:
        counted = self._roles(feature) >> at & 1
        return bool(feature.current and not feature.delay_us and counted and self._kinds(feature) & 1)

    def _source(self, feature: Aggregate, row: list[int]) -> None:
        """Find or make the channel, item, distinct field and counter, extreme or session that the feature reads."""
        if feature.kind in REMEMBERED:
            row[k.F_SOURCE] = self._item(feature)
            return
        if feature.kind == "distinct":
            row[k.F_SOURCE] = self._distinct(feature)
            row[k.F_COUNTER] = self._counter(False, row[k.F_LOW], row[k.F_HIGH], row[k.F_SOURCE])
            return
        row[k.F_SOURCE] = self._channel(feature)
        if feature.kind in ("label_count", "label_rate") and feature.by == "event":
            row[k.F_COUNTER] = self._counter(True, row[k.F_LOW], row[k.F_HIGH], self._label(feature))
        elif feature.kind == "approx_quantile":
            words = [False, row[k.F_LOW], row[k.F_HIGH], row[k.F_SOURCE]]
            row[k.F_COUNTER] = self.counters.find(("sketch", *words), words)
        elif feature.kind in ("min", "max"):
            minimum = feature.kind == "min"
            row[k.F_COUNTER] = self.extremes.find((row[k.F_SOURCE], minimum), [row[k.F_SOURCE], minimum])
        elif KINDS[feature.kind].looks == "session":
            words = [row[k.F_SOURCE], feature.window_us, 0]
            row[k.F_COUNTER] = self.sessions.find(tuple(words), words)

    def _identity(self, feature: Aggregate) -> tuple[object, ...]:
        return (feature.field, feature.where, self._kinds(feature), feature.role)

    def _where(self, feature: Aggregate) -> int:
        return self.stream.wheres[feature.where].index if feature.where else -1

    def _kinds(self, feature: Aggregate) -> int:
        if feature.by == "known":
            return 1 << self.stream.labels_kind
        return sum(1 << self.stream.kinds[of] for of in feature.of) or 1

    def _roles(self, feature: Aggregate) -> int:
        return 1 << self.entity.roles.index(feature.role) if feature.role else (1 << len(self.entity.keys)) - 1

    def _channel(self, feature: Aggregate) -> int:
        column = self.layout[feature.field] if feature.field else None
        new = len(self.channels.rows)
        words = [column.index if column else -1, self._where(feature), self._kinds(feature), self._roles(feature)]
        scanned = feature.kind in (*SCANNED, *RANKED)  # a sum that leaves a value out for its size does not concern them
        channel = self.channels.find((*self._identity(feature), scanned), words)
        if channel == new:
            self.scales.append(self.stream.scales.get(feature.field or "", DEFAULT_SCALE))
        row = self.channels.rows[channel]
        for place in _NEEDS.get(feature.kind, set()) | (set() if self._dense(feature) else {k.C_COUNT}):
            row[place] = 0  # wanted; placed by _lay_ring
        ever = (feature.window_us == EVER_US and feature.kind in ("sum", "mean", "std")) or feature.kind == "session_sum"
        row[k.C_EVER] = int(ever or row[k.C_EVER] == 1)
        row[k.C_TEXT] = int(column is not None and column.type is Type.TEXT)
        return channel

    def _dense(self, feature: Aggregate) -> bool:
        """Whether every entry of the ring belongs to the feature's channel, so that positions are counts."""
        whole = self._kinds(feature) == self.known_kinds and self._roles(feature) == (1 << len(self.entity.keys)) - 1
        return (
            whole
            and not feature.where
            and (feature.field is None or (feature.field in self.stream.required and self.known_kinds == 1))
        )

    def _item(self, feature: Aggregate) -> int:
        column = self.layout[feature.field] if feature.field else None
        text = column is not None and column.type is Type.TEXT
        words = [column.index if column else -1, text, self._where(feature), self._kinds(feature), self._roles(feature)]
        item = self.items.find(self._identity(feature), words)
        self.items.rows[item][k.I_RING] = -1 if feature.field is None and self._dense(feature) else 0
        return item

    def _distinct(self, feature: Aggregate) -> int:
        column = self.layout[feature.field or ""]
        text = column.type is Type.TEXT
        words = [column.index, text, self._where(feature), self._kinds(feature), self._roles(feature), 0]
        index = self.distincts.find(self._identity(feature), words)
        ever = feature.window_us == EVER_US
        self.distincts.rows[index][k.D_EVER] = int(ever or self.distincts.rows[index][k.D_EVER] == 1)
        return index

    def _label(self, feature: Aggregate) -> int:
        words = [self._where(feature), self._kinds(feature), self._roles(feature), 0]
        return self.labels.find(self._identity(feature), words)

    def _counter(self, label: bool, low: int, high: int, source: int) -> int:
        return self.counters.find((label, low, high, source), [label, low, high, source])

    # ---- the whole entity

    def _lay_ring(self, labelled: bool) -> tuple[int, int, int]:
        """Give every stored word of a ring entry its column; running totals come first, right after the time."""
        column = 1
        for place in (k.C_COUNT, k.C_SUM, k.C_SQUARES):
            for row in self.channels.rows:
                if row[place] == 0:
                    row[place] = column
                    column += 2 if place == k.C_SQUARES else 1
        for row in self.sessions.rows:
            row[k.Z_RING] = column
            column += k.SESSION_WORDS
        total_words = column - 1
        sequence = column if labelled else -1
        column += labelled
        for table, place, width in (
            (self.channels, k.C_VALUE, 1),
            (self.labels, k.L_RING, 1),
            (self.items, k.I_RING, 1),
            (self.distincts, k.D_RING, 3),  # code, previous, next
        ):
            for row in table.rows:
                if row[place] == 0:
                    row[place] = column
                    column += width
        return column, total_words, sequence

    def _lay_guesses(self, rows: list[list[int]], word: int) -> int:
        """Give everything that scans a word of the row for the next time; it is a cache, as cursors and counters are."""
        for row in rows:
            if k.QUANTILE <= row[k.F_OP] <= k.ENTROPY:
                row[k.F_COUNTER] = word
                word += 1
        return word

    def _lay_sketches(self, rows: list[list[int]], word: int) -> int:
        """Give every sketch its words of the row, for all quantiles of one window; they are a cache, too."""
        for row in rows:
            if row[k.F_OP] != k.APPROX_QUANTILE:
                continue
            counter = self.counters.rows[row[k.F_COUNTER]]
            if counter[k.K_SKETCH] < 0:
                counter[k.K_SKETCH] = word
                word += k.SKETCH_WORDS
            row[k.F_COUNTER] = counter[k.K_SKETCH]
        return word

    def _lay_row(self, word: int) -> int:
        for row in self.items.rows:
            row[k.I_ROW] = word
            word += k.ITEM_WIDTH
        for row in self.channels.rows:
            if row[k.C_SUM] >= 0:
                row[k.C_ABSOLUTE] = word
                word += 1
        return word

    def _horizon(self) -> int:
        """How long a key can be idle before nothing in its row can be read any more."""
        remembered = [f.window_us for f in self.features if KINDS[f.kind].looks != "window" and f.window_us < EVER_US]
        return max([self.offsets[-1], *remembered]) + self.stream.lateness_us

    def _gaps(self) -> list[int]:
        """The gaps of sessions: an event as late as may be still finds the events that it joins into one session."""
        return [f.window_us for f in self.features if KINDS[f.kind].looks == "session"]

    def _labels_for_ever(self) -> bool:
        return any(row[k.K_LABEL] and row[k.K_LOW] < 0 for row in self.counters.rows)

    def _keeps_rows(self) -> bool:
        return any(f.window_us == EVER_US for f in self.features)
