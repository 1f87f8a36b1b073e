"""The features of a recorded event, computed again from the earlier events that share one of its keys.

A key's row in state depends on the events of that key alone, on the labels of those events, and on the stream's clocks, which
the index keeps. So each entity's table is filled with the events of the wanted keys, each at the clock of its arrival:

* Of a key whose features have bounded windows, only events that these windows reach; whether an event came too late for its
  key is seen from the event times of all its events, which the index holds.
* Of a key with features of all time, or of the first event, all events.
* A label is applied where it fell due: before the first event at which the stream's clock had reached it.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.engine import records
from penstock.engine.keys.index import MOST_BEHIND, KeyIndex, NeedsWholeLog, columns_of, fingerprint_of
from penstock.engine.pipeline import Pipeline
from penstock.features.kernel import words as k
from penstock.features.plan import EntityPlan
from penstock.features.state import STRIDE_US, key_codes
from penstock.ingest.selection import take
from penstock.ledger import Ledger
from penstock.ledger.identities import INDEXED
from penstock.messages import Batch, Record

if TYPE_CHECKING:
    from penstock.features.table import Table

MOST_EVENTS = 50_000
"""Events that are read for one decision at most; the whole log is read faster than more of them one by one."""
MOST_LABELS = 500
"""Labels of fraud that are read for one key at most."""
_MOST_LATE = 64
_BEFORE_ALL = np.iinfo(np.int64).min
_ELSEWHERE = -2
"""The sequence number of an event whose label is applied and that is not in the table."""


class _Label(NamedTuple):
    """A label where it fell due. at: the row of the log before which it is applied. pace_us: the pace clock there."""

    at: int
    known_us: int
    seq: int
    change: int
    pace_us: int
    event: int


@dataclass(slots=True)
class _Wanted:
    """What one entity's table takes in. keys: of the event. seqs: rows of the log; late: too late for a key, by key."""

    table: "Table"
    keys: NDArray[np.int64]
    seqs: NDArray[np.int64]
    late: dict[int, NDArray[np.int64]]
    labels: list[_Label]

    def keys_of(self, events: Batch, seqs: NDArray[np.int64]) -> NDArray[np.int64]:
        """The keys of events by role, as far as they are wanted and the events did not come too late for them; else 0."""
        keys = key_codes(self.table.plan, events)
        keys[~np.isin(keys, self.keys)] = 0
        for key, late in self.late.items():
            keys[np.isin(seqs, late)[:, None] & (keys == key)] = 0
        return keys


class KeyReplay:
    """Computes features of recorded events again, over an empty state of the path.

    Args:
        path: of the detector as it was; its state is used up by one event.
        ledger: holds the log.
        index: of the ledger's keys.
    """

    def __init__(self, path: Pipeline, ledger: Ledger, index: KeyIndex) -> None:
        self._pipeline, self._ledger, self._index = path, ledger, index
        self._by_time_known = any(_by_time_known(table.plan) for table in path.state.tables)
        self.events = 0

    def features(self, recorded: Record, row: int) -> Batch:
        """The event of a recorded decision with its features, as one row; what is derived from them is not computed yet.

        Raises:
            NeedsWholeLog: the events of its keys are too many, or are not all that its features depend on.
            LedgerDamaged: a record does not fit its checksum.
        """
        pipeline, index, seq = self._pipeline, self._index, recorded.first_seq + row
        if pipeline.state.links:
            raise NeedsWholeLog("linked features depend on the events of other keys")
        if fingerprint_of(pipeline.detector) != index.fingerprint:
            raise NeedsWholeLog("the keys of the detector were other ones then")
        if index.rows_behind(seq) > MOST_BEHIND:
            raise NeedsWholeLog("the keys of the log are not indexed up to it")
        index.index(seq)
        if index.closed_by(seq):
            raise NeedsWholeLog("events had to stay out of state for want of memory")
        batch = records.batch_of(records.rows_of(recorded, [row]), pipeline.detector, None)
        for step in pipeline.plan.before:
            step.run(batch)
        wanted = [self._wanted(table, batch, seq) for table in pipeline.state.tables]
        seqs = np.unique(np.concatenate([_none(), *(each.seqs for each in wanted)]))
        events, paces = self._events(seqs) if len(seqs) else (take(batch, _none()), _none())
        self.events = len(seqs)
        pipeline.state.learn_words(events)
        pipeline.state.learn_words(batch)
        _, at, _ = index.clocks_in(recorded, index.clocks_before(seq))
        for each in wanted:
            here = np.searchsorted(seqs, each.seqs)
            self._fill(each, take(events, here), each.seqs, paces[here])
            _apply(each.table, each.keys, batch, at[row : row + 1], read=True)
        pipeline.state.fill_words(batch)
        return batch

    # ------------------------------------------------------------ which events

    def _wanted(self, table: "Table", batch: Batch, seq: int) -> _Wanted:
        keys, plan = key_codes(table.plan, batch), table.plan
        span_us, late, parts = _span_us(plan), {}, [_none()]
        labels: list[_Label] = []
        since_us = _BEFORE_ALL if span_us is None else int(batch.time_us[0]) - span_us
        for key in {each for each in keys[0].tolist() if each}:
            seqs, times = self._rows(plan, key, seq)
            late[key] = self._too_late(plan, seqs, times)
            parts.append(np.setdiff1d(seqs[times > since_us], late[key], assume_unique=True))
            if plan.labelled or self._by_time_known:
                said, known_us = self._rows(plan, key, seq, labels=True)
                labels += self._labels(said[known_us > since_us], seq, late[key])
        seqs = np.unique(np.concatenate(parts))
        if len(seqs) > MOST_EVENTS:
            raise NeedsWholeLog(f"its {plan.entity.name} has {len(seqs):,} events within reach of the windows")
        return _Wanted(table, keys, seqs, late, sorted(set(labels)))

    def _rows(self, plan: EntityPlan, key: int, before: int, *, labels: bool = False) -> tuple[NDArray[np.int64], ...]:
        """Sequence numbers and times of the rows of a key, in any role, before another row."""
        found = [self._index.rows_of(names, key, labels=labels) for names in dict.fromkeys(columns_of(plan))]
        times, seqs = (np.concatenate(each) for each in zip(*found, strict=True))
        if (np.diff(seqs) <= 0).any():  # of several roles
            seqs, first = np.unique(seqs, return_index=True)
            times = times[first]
        stop = int(np.searchsorted(seqs, before))
        return seqs[:stop], times[:stop]

    def _too_late(self, plan: EntityPlan, seqs: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of a key's events that came too late for it; none does that finds its key forgotten."""
        sizes, start = plan.plan.sizes, 0
        late = np.zeros(len(seqs), np.bool_)
        for _ in range(_MOST_LATE):
            late[start : start + 1] = False
            late[start + 1 :] = times[start + 1 :] < np.maximum.accumulate(times[start:])[:-1] - sizes.lateness
            found = start + np.flatnonzero(late[start:])
            if sizes.keeps_rows or not len(found):
                return seqs[late]
            if len(found) > _MOST_LATE:
                break
            forgotten = (place for place in found.tolist() if self._finds_forgotten(sizes.horizon, seqs, times, late, place))
            start = next(forgotten, -1)
            if start < 0:
                return seqs[late]
        raise NeedsWholeLog(f"too many events came too late for its {plan.entity.name}")

    def _finds_forgotten(
        self, horizon_us: int, seqs: NDArray[np.int64], times: NDArray[np.int64], late: NDArray[np.bool_], place: int
    ) -> bool:
        """Whether one of a key's events found the key forgotten, at the clock of its arrival."""
        before = int(np.flatnonzero(~late[:place])[-1])
        touched_us = max(int(times[before]), self._pace_at(int(seqs[before])))
        return self._pace_at(int(seqs[place])) - touched_us > horizon_us

    def _pace_at(self, seq: int) -> int:
        record, row = self._record_of(seq)
        return int(self._index.clocks_in(record, self._index.clocks_before(seq))[1][row])

    def _record_of(self, seq: int, kinds: Collection[str] = INDEXED) -> tuple[Record, int]:
        found = self._ledger.record_of(seq)
        if found is None or found[0].kind not in kinds or found[0].detector != self._pipeline.detector.name:
            raise NeedsWholeLog("the index does not belong to the log")
        return found

    def _events(self, seqs: NDArray[np.int64]) -> tuple[Batch, NDArray[np.int64]]:
        """Events of the log, with what is computed before the kernel, and the pace clock at each."""
        parts, paces = [], []
        for record, rows in self._records(seqs):
            names = self._index.names_of(record)
            parts.append(records.batch_of(records.rows_of(record, rows), self._pipeline.detector, names))
            paces.append(self._index.clocks_in(record, self._index.clocks_before(record.first_seq))[1][rows])
        batch = _joined(parts)
        for step in self._pipeline.plan.before:
            step.run(batch)
        return batch, np.concatenate(paces)

    def _records(self, seqs: NDArray[np.int64]) -> Iterator[tuple[Record, list[int]]]:
        start = 0
        while start < len(seqs):
            record, _ = self._record_of(int(seqs[start]))
            stop = int(np.searchsorted(seqs, record.first_seq + len(record)))
            yield record, (seqs[start:stop] - record.first_seq).tolist()
            start = stop

    # ------------------------------------------------------------ labels

    def _labels(self, seqs: NDArray[np.int64], before: int, late: NDArray[np.int64]) -> Iterator[_Label]:
        """Those of a key's labels in these rows that fell due before another row; late: events that were kept out."""
        if len(seqs) > MOST_LABELS:
            raise NeedsWholeLog(f"a key has {len(seqs):,} labels within reach of the windows")
        for seq in seqs.tolist():
            record, row = self._record_of(seq, ("labels",))
            event, change = int(np.asarray(record.columns["seq"])[row]), int(np.asarray(record.columns["change"])[row])
            known_us = int(record.time_us[row])
            due = self._index.due(seq, known_us)
            if due is None or event in late:
                continue
            clocks, last = due
            at, _ = self._record_of(last)
            moving = np.maximum.accumulate(np.maximum(np.minimum(at.time_us, at.arrived_us), clocks.stream_us))
            place = int(np.searchsorted(moving, known_us))
            paces = self._index.clocks_in(at, clocks)[1]
            if at.first_seq + place <= before:
                pace_us = int(paces[place - 1]) if place else clocks.pace_us
                yield _Label(at.first_seq + place, known_us, seq, change, pace_us, event)

    # ------------------------------------------------------------ into the table

    def _fill(self, wanted: _Wanted, events: Batch, seqs: NDArray[np.int64], paces: NDArray[np.int64]) -> None:
        """Let events and labels into a table, in the order of the log."""
        table = wanted.table
        keys = wanted.keys_of(events, seqs)
        if not (keys != 0).any(axis=1).all():
            raise NeedsWholeLog("the index does not belong to the log")
        start = 0
        for label in wanted.labels:
            stop = int(np.searchsorted(seqs, label.at))
            _apply(table, keys, events, paces, slice(start, stop))
            self._label(wanted, label, seqs)
            start = stop
        _apply(table, keys, events, paces, slice(start, len(seqs)))

    def _label(self, wanted: _Wanted, label: _Label, seqs: NDArray[np.int64]) -> None:
        table, plan = wanted.table, wanted.table.plan
        event, _ = self._events(np.array([label.event], np.int64))
        if int(event.time_us[0]) - int(event.arrived_us[0]) > self._pipeline.detector.max_ahead_us:
            return
        keys = wanted.keys_of(event, np.array([label.event], np.int64))
        place = int(np.searchsorted(seqs, label.event))
        number = place if place < len(seqs) and seqs[place] == label.event else _ELSEWHERE
        if plan.labelled:
            table.label(keys[0].tolist(), int(event.time_us[0]), number, int(event.kinds[0]), event.x, 0, label.change)
        if self._by_time_known and label.change > 0:
            known, kinds = np.array([label.known_us], np.int64), np.array([plan.plan.sizes.labels_kind], np.uint8)
            pace_us = label.pace_us
            pace_us = max(pace_us, min(label.known_us, pace_us + STRIDE_US)) if pace_us else label.known_us
            event.time_us, event.arrived_us, event.kinds = known, known, kinds
            _apply(table, keys, event, np.array([pace_us], np.int64), first=number)


def _apply(
    table: "Table",
    keys: NDArray[np.int64],
    batch: Batch,
    paces: NDArray[np.int64],
    rows: slice | None = None,
    *,
    read: bool = False,
    first: int | None = None,
) -> None:
    """Let events into a table at their clocks, numbered by their places; or read the features of one."""
    rows = rows or slice(0, len(batch))
    if rows.start == rows.stop:
        return
    table.apply(
        np.ascontiguousarray(keys[rows]),
        np.ascontiguousarray(batch.kinds[rows]),
        np.ascontiguousarray(batch.time_us[rows]),
        np.ascontiguousarray(paces[rows]),
        np.ones(rows.stop - rows.start, np.bool_),
        rows.start if first is None else first,
        batch.x[rows],
        batch.codes[rows],
        read=read,
        write=not read,
    )


def _by_time_known(plan: EntityPlan) -> bool:
    return bool(plan.known_kinds >> plan.plan.sizes.labels_kind & 1)


def _span_us(plan: EntityPlan) -> int | None:
    """How far back the features of an entity see; None where that has no limit."""
    sizes = plan.plan.sizes
    first = len(plan.plan.sessions) or np.isin(plan.plan.features[:, k.F_OP], (k.FIRST_VALUE, k.SINCE_FIRST)).any()
    return None if sizes.keeps_rows or first else int(sizes.horizon - sizes.lateness)


def _joined(parts: Sequence[Batch]) -> Batch:
    if len(parts) == 1:
        return parts[0]
    return Batch(
        [each for part in parts for each in part.ids],
        np.concatenate([part.kinds for part in parts]),
        np.concatenate([part.time_us for part in parts]),
        np.concatenate([part.arrived_us for part in parts]),
        np.concatenate([part.x for part in parts]),
        np.concatenate([part.codes for part in parts]),
        {name: [text for part in parts for text in part.texts[name]] for name in parts[0].texts},
    )


def _none() -> NDArray[np.int64]:
    return np.empty(0, np.int64)
