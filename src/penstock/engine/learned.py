"""What labels came to say about decisions: read from the log as they are asked for, each with the decision it is about.

A label names the sequence number of its transaction, so what it costs is its own record and that of its decision; decisions
that nobody spoke of are not read at all.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.engine.ranges import RANGES
from penstock.engine.records import rule_of
from penstock.engine.spread import worth_of
from penstock.messages import Action, Record

if TYPE_CHECKING:
    from penstock.engine.engine import Engine

MOST = 200_000
"""Decisions whose labels are remembered: those that were labelled last."""

LOOK_S = 0.25
"""How long one look reads at most; the next one goes on from there."""

_ACTIONS = len(Action)


class Known(NamedTuple):
    """What is known of the decisions since an instant.

    counts, amounts: by truth (0 good, 1 fraud) and outcome, (2, 4). rules: how many good and fraud each rule fired on.
    complete: all labels were read.
    """

    counts: NDArray[np.int64]
    amounts: NDArray[np.float64]
    rules: dict[str, NDArray[np.int64]]
    complete: bool


class _Decided(NamedTuple):
    """A decision that somebody has labelled."""

    decided_us: int
    action: int
    amount: float
    rules: tuple[str, ...]


class Learned:
    """The labels of one engine's decisions of the last 30 days; may be asked from any thread, and waits for the disk."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._position: int | None = None
        self._rows: dict[int, int] = {}
        self._decided: list[_Decided] = []
        self._labels: list[tuple[int, int, bool]] = []  # rank, when it became known, fraud
        self._forgot = False
        self._held: Record | None = None

    def since(self, start_us: int, *, look_s: float = LOOK_S) -> Known:
        """What is known by now of what was decided from an instant on."""
        with self._lock:
            complete = self._look(time.perf_counter() + look_s)
            return self._known(start_us, complete and not self._forgot)

    def _known(self, start_us: int, complete: bool) -> Known:
        now_us = self._engine.clock()
        counts, amounts = np.zeros((2, _ACTIONS), np.int64), np.zeros((2, _ACTIONS))
        rules: dict[str, NDArray[np.int64]] = {}
        for decided, (_, known_us, fraud) in zip(self._decided, self._labels, strict=True):
            if decided.decided_us < start_us or known_us > now_us:
                continue
            counts[int(fraud), decided.action] += 1
            amounts[int(fraud), decided.action] += decided.amount
            for name in decided.rules:
                rules.setdefault(name, np.zeros(2, np.int64))[int(fraud)] += 1
        return Known(counts, amounts, rules, complete)

    def of(self, seqs: Sequence[int], *, look_s: float = LOOK_S) -> dict[int, bool]:
        """Which of these decisions, by sequence number, are known by now: whether they are fraud."""
        with self._lock:
            self._look(time.perf_counter() + look_s)
            now_us = self._engine.clock()
            held = {seq: self._labels[row] for seq in seqs if (row := self._rows.get(seq)) is not None}
        return {seq: fraud for seq, (_, known_us, fraud) in held.items() if known_us <= now_us}

    # ---- reading

    def _look(self, until_s: float) -> bool:
        """Read labels that are new; False where there are more."""
        ledger = self._engine.ledger
        if self._position is None:
            oldest = RANGES["30d"]
            self._position = self._position_at(self._engine.clock() - (oldest.buckets + 1) * oldest.bucket_us)
        stop = ledger.durable_position
        for position, record in ledger.read(self._position, ("labels",)):
            if record.detector == self._engine.detector.name:
                self._learn(record)
            self._position = position + 1
            if time.perf_counter() > until_s:
                return False
        self._position = max(self._position, stop)
        return True

    def _learn(self, record: Record) -> None:
        columns: Any = record.columns
        for seq, rank, known_us, fraud in zip(
            columns["seq"].tolist(),
            columns["rank"].tolist(),
            columns["known_us"].tolist(),
            columns["fraud"].tolist(),
            strict=True,
        ):
            row = self._rows.get(seq)
            if row is not None:
                if (rank, known_us) >= self._labels[row][:2]:
                    self._labels[row] = rank, known_us, bool(fraud)
                continue
            decided = self._decision(seq)
            if decided is not None:
                self._rows[seq] = len(self._decided)
                self._decided.append(decided)
                self._labels.append((rank, known_us, bool(fraud)))
        if len(self._decided) > 2 * MOST:
            self._forget()

    def _decision(self, seq: int) -> _Decided | None:
        """The decision with this number; None where the log no longer holds it, or nothing was decided."""
        if self._held is None or not self._held.first_seq <= seq < self._held.first_seq + len(self._held):
            found = self._engine.ledger.record_of(seq)
            self._held = None if found is None else found[0]
        record = self._held
        if record is None or record.kind != "decisions":
            return None
        row = seq - record.first_seq
        columns: Any = record.columns
        names, x = self._engine.look.names_in(record), columns["x"]
        worth, _ = worth_of(self._engine.detector)
        amount = float(x[row][names.index(worth)]) if worth in names else 0.0
        fired = tuple(dict.fromkeys(_fired(names, x[row])))
        return _Decided(record.meta["decided_us"], int(columns["action"][row]), np.nan_to_num(amount), fired)

    def _forget(self) -> None:
        """Keep those that were labelled last."""
        self._forgot = True
        self._decided, self._labels = self._decided[-MOST:], self._labels[-MOST:]
        newest = list(self._rows)[-MOST:]
        self._rows = {seq: row for row, seq in enumerate(newest)}

    def _position_at(self, instant_us: int) -> int:
        """The first record that arrived at this instant or later, or one shortly before it."""
        ledger = self._engine.ledger
        low, high = ledger.first_position, ledger.durable_position
        while low < high:
            middle = (low + high) // 2
            found = next(ledger.read(middle), None)
            if found is None or _written_us(found[1]) >= instant_us:
                high = middle
            else:
                low = middle + 1
        return low


def _fired(names: list[str], values: Any) -> Iterator[str]:
    """The rules whose condition held: they acted, or watched."""
    for place in np.flatnonzero(values == 1).tolist():
        rule = rule_of(names[place], names)
        if rule is not None:
            yield rule


def _written_us(record: Record) -> int:
    """About when a record was written: history that was loaded arrived long before."""
    decided: int = record.meta.get("decided_us", 0)
    return decided or (2**62 if record.kind == "loaded" else int(record.arrived_us.max()) if len(record) else 2**62)
