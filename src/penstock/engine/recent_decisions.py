"""The newest decisions by the keys they are about: what was decided about one key, without reading the log for it.

Kept are a few numbers per decision, among them the codes of its keys in every role; texts, and everything else, stand in the
log under the same sequence numbers. What was decided before the start is read from the log, newest first and a little at a
time, when somebody asks.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penstock.codes import NULL
from penstock.engine.active_detector import ActiveDetector
from penstock.engine.pipeline import BatchResult
from penstock.features.state import key_codes
from penstock.ledger import Ledger
from penstock.messages import Batch, Column, Record, Type

MOST = 200_000
"""Decisions that are kept: the newest."""

FILL_S = 0.25
"""How long the log is read for older ones, each time that somebody asks."""

_TOGETHER, _ROWS_TOGETHER = 256, 4096


@dataclass(frozen=True, slots=True)
class DecisionChunk:
    """Decisions that follow one another, the oldest first. keys: by entity, (n, roles), 0 if absent."""

    seqs: NDArray[np.int64]
    decided_us: NDArray[np.int64]
    time_us: NDArray[np.int64]
    action: NDArray[np.uint8]
    scores: NDArray[np.float64]
    amounts: NDArray[np.float64]
    keys: dict[str, NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.seqs)

    def take(self, rows: "NDArray[np.int64] | slice") -> "DecisionChunk":
        """Some of them."""
        return DecisionChunk(
            self.seqs[rows],
            self.decided_us[rows],
            self.time_us[rows],
            self.action[rows],
            self.scores[rows],
            self.amounts[rows],
            {name: codes[rows] for name, codes in self.keys.items()},
        )


@dataclass(frozen=True, slots=True)
class RecentWindow:
    """The newest decisions, the oldest first. complete: there are no others; since_us: none before is among them."""

    chunks: Sequence[DecisionChunk]
    complete: bool
    since_us: int | None

    @property
    def total(self) -> int:
        """How many."""
        return sum(map(len, self.chunks))

    def about(self, entity: str, codes: Sequence[int] | NDArray[np.int64]) -> DecisionChunk:
        """Those about any of these keys of an entity, in any role."""
        wanted = np.asarray(codes, np.int64)
        wanted = wanted[wanted != NULL]  # what has no key is about nobody
        found = []
        for chunk in self.chunks:
            if entity in chunk.keys:
                rows = np.flatnonzero(np.isin(chunk.keys[entity], wanted).any(axis=1))
                found += [chunk.take(rows)] if len(rows) else []
        return joined(found)


class RecentDecisions:
    """The newest decisions of one detector. One thread adds, any may ask. amount: the column that is the money at stake."""

    def __init__(self, active: ActiveDetector, ledger: Ledger, amount: str | None) -> None:
        self._active, self._ledger, self._amount = active, ledger, amount
        self._lock = threading.Lock()
        self._filling = threading.Lock()
        self._pending: list[tuple[Record, Batch]] = []
        self._rows = 0
        self._chunks: deque[DecisionChunk] = deque()
        self._first_seq = 2**62
        self._exhausted = False

    def decided(self, record: Record, result: BatchResult, _rendered: list[bytes]) -> None:
        """Keep new decisions."""
        self.add(record, result.batch)

    def recorded(self, record: Record, _names: Sequence[str], events: Batch | None) -> None:
        """Keep decisions of before a restart, or of another engine."""
        if record.kind == "decisions" and events is not None:
            self.add(record, events)

    def add(self, record: Record, batch: Batch) -> None:
        """Decisions were made, here or by the writer of the record; batch: their events."""
        with self._lock:
            if self._pending and self._pending[-1][1].x.shape[1] != batch.x.shape[1]:
                self._seal()
            self._first_seq = min(self._first_seq, record.first_seq)
            self._pending.append((record, batch))
            self._rows += len(record)
            if len(self._pending) >= _TOGETHER or self._rows >= _ROWS_TOGETHER:
                self._seal()

    def begin(self, next_seq: int) -> None:
        """Add decisions from now on; earlier ones are read from the log."""
        self._first_seq = min(self._first_seq, next_seq)

    def window(self, *, fill_s: float = FILL_S) -> RecentWindow:
        """The newest decisions; those before the start come bit by bit."""
        with self._filling:
            self._fill(time.perf_counter() + fill_s)
        with self._lock:
            self._seal()
            chunks, complete = tuple(self._chunks), self._exhausted
        since_us = int(chunks[0].decided_us[0]) if chunks else None
        return RecentWindow(chunks, complete, since_us)

    def code_of(self, entity: str, key: str) -> int:
        """The code of a key, which is written with | between its fields where it has several.

        Raises:
            DeclarationError: the detector has no such entity.
            MalformedEvent: the text cannot be a key of it.
        """
        pipeline = self._active.pipeline
        table = pipeline.table(entity)
        values = key.split("|") if len(table.plan.keys[0]) > 1 else [key]
        return pipeline.state.key_of(table, values)

    # ---- keeping

    def _seal(self) -> None:
        """Make a chunk of what was added."""
        if not self._pending:
            return
        pending, self._pending, self._rows = self._pending, [], 0
        self._chunks.append(self._chunk(pending))
        kept = sum(map(len, self._chunks))
        while kept - len(self._chunks[0]) >= MOST:
            kept -= len(self._chunks.popleft())
            self._exhausted = False

    def _chunk(self, pairs: Sequence[tuple[Record, Batch]]) -> DecisionChunk:
        batches, sizes = [batch for _, batch in pairs], [len(r) for r, _ in pairs]
        starts = np.array([r.first_seq for r, _ in pairs], np.int64)
        detector = self._active.detector
        worth = detector.plan.layout.get(self._amount) if self._amount is not None else None
        plans = [plan for plan in detector.plan.entities if all(_has(batches[0], each) for role in plan.keys for each in role)]
        whole = _whole(batches, [column for plan in plans for role in plan.keys for column in role])
        return DecisionChunk(
            seqs=np.repeat(starts - np.cumsum([0, *sizes[:-1]]), sizes) + np.arange(len(whole)),
            decided_us=np.repeat([r.meta["decided_us"] for r, _ in pairs], sizes),
            time_us=whole.time_us,
            action=np.concatenate([r.columns["action"] for r, _ in pairs]),
            scores=np.concatenate([np.asarray(r.columns["scores"])[:, 0] for r, _ in pairs]),
            amounts=(
                np.concatenate([batch.x[:, worth.index] for batch in batches])
                if worth is not None and _has(batches[0], worth)
                else np.full(len(whole), np.nan)
            ),
            keys={plan.entity.name: key_codes(plan, whole) for plan in plans},
        )

    # ---- what was decided before the start

    def _fill(self, until_s: float) -> None:
        """Read older decisions from the log, as long as there is time and room."""
        while not self._exhausted and time.perf_counter() < until_s:
            with self._lock:
                room = MOST - sum(map(len, self._chunks)) - self._rows
                before = self._first_seq
            if room <= 0:
                return
            older = self._older(before, min(room, _ROWS_TOGETHER), until_s)
            if not older:
                with self._lock:
                    self._exhausted = True
                return
            pairs = [(record, self._active.rebuild.events_of(record)) for record in reversed(older)]
            with self._lock:
                self._chunks.appendleft(self._chunk(pairs))
                self._first_seq = pairs[0][0].first_seq

    def _older(self, before: int, rows: int, until_s: float) -> list[Record]:
        """Records of decisions that end before a sequence number, newest first, with about so many rows."""
        found: list[Record] = []
        for record, _row in self._ledger.recent(self._active.name, before=before):
            if found and record.first_seq == found[-1].first_seq:
                continue
            if found and (rows <= 0 or time.perf_counter() > until_s):
                break
            found.append(record)
            rows -= len(record)
        return found


def _has(batch: Batch, column: Column) -> bool:
    """Whether a batch holds a column: one that was made before the detector grew does not hold the new ones."""
    return bool(column.index < (batch.codes if column.type is Type.TEXT else batch.x).shape[1])


def _whole(batches: Sequence[Batch], read: Sequence[Column]) -> Batch:
    """Times, and the columns that are read, of several batches together; numbers up to the last of these."""
    time_us = np.concatenate([batch.time_us for batch in batches])
    width = max((column.index + 1 for column in read if column.type is not Type.TEXT), default=1)
    return Batch(
        ids=[""] * len(time_us),
        kinds=np.zeros(len(time_us), np.uint8),
        time_us=time_us,
        arrived_us=time_us,
        x=np.concatenate([batch.x[:, :width] for batch in batches]),
        codes=np.concatenate([batch.codes for batch in batches]),
        texts={},
    )


def joined(chunks: Sequence[DecisionChunk]) -> DecisionChunk:
    """Chunks as one; those that do not know an entity have none of its keys."""
    if not chunks:
        none = np.empty(0, np.int64)
        return DecisionChunk(none, none, none, none.astype(np.uint8), none.astype(np.float64), none.astype(np.float64), {})
    roles = {name: codes.shape[1] for chunk in chunks for name, codes in chunk.keys.items()}
    return DecisionChunk(
        np.concatenate([chunk.seqs for chunk in chunks]),
        np.concatenate([chunk.decided_us for chunk in chunks]),
        np.concatenate([chunk.time_us for chunk in chunks]),
        np.concatenate([chunk.action for chunk in chunks]),
        np.concatenate([chunk.scores for chunk in chunks]),
        np.concatenate([chunk.amounts for chunk in chunks]),
        {name: np.concatenate([_keys(chunk, name, n) for chunk in chunks]) for name, n in roles.items()},
    )


def _keys(chunk: DecisionChunk, name: str, roles: int) -> NDArray[np.int64]:
    return chunk.keys[name] if name in chunk.keys else np.zeros((len(chunk), roles), np.int64)
