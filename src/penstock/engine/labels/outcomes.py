"""The outcomes of decisions by label, read from the log on demand, each with its decision.

A label names the sequence number of its transaction, so what it costs is its own record and that of its decision; decisions
that nobody spoke of are not read at all.
"""

import heapq
import threading
import time
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.clock import Clock
from penstock.engine.active_detector import ActiveDetector
from penstock.engine.queries import RecordQueries
from penstock.engine.records import rule_of
from penstock.engine.statistics.buckets import RANGES
from penstock.engine.statistics.distribution import worth_of
from penstock.ledger import Ledger
from penstock.messages import Action, Record

MOST = 200_000
"""Decisions whose labels are remembered: those that were labelled last."""

LOOK_S = 0.25
"""How long one look reads at most; the next one goes on from there."""

_ACTIONS = len(Action)


class LabelledDecision(NamedTuple):
    """The known outcomes of decisions since an instant.

    counts, amounts: by truth (0 good, 1 fraud) and outcome, (2, 4). rules: how many good and fraud each rule fired on.
    complete: all labels were read, and none had to be forgotten. blocked: by rule that fired on blocked decisions, by
    truth: how many, and their worth (2, 2). read: all labels were read.
    """

    counts: NDArray[np.int64]
    amounts: NDArray[np.float64]
    rules: dict[str, NDArray[np.int64]]
    complete: bool
    blocked: dict[str, NDArray[np.float64]]
    read: bool


class _LabelledDecisions:
    """Decisions that somebody has labelled, as columns, each with the label that counts."""

    def __init__(self) -> None:
        self.rules: list[tuple[str, ...]] = []
        self._columns: dict[str, array[Any]] = {name: array(code) for name, code in _COLUMNS.items()}

    def __len__(self) -> int:
        return len(self.rules)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return np.array(self._columns[name])

    def append(self, rules: tuple[str, ...], **values: float) -> None:
        """Add one."""
        self.rules.append(rules)
        for name, column in self._columns.items():
            column.append(values[name])

    def label(self, row: int) -> tuple[int, int, bool]:
        """Rank, when it became known, and whether it says fraud."""
        rank, known_us, fraud = (self._columns[name][row] for name in _LABEL)
        return int(rank), int(known_us), bool(fraud)

    def say(self, row: int, *label: int) -> None:
        """Replace the label."""
        for name, value in zip(_LABEL, label, strict=True):
            self._columns[name][row] = value

    def keep(self, newest: int) -> None:
        """Forget all others."""
        self.rules = self.rules[-newest:]
        self._columns = {name: column[-newest:] for name, column in self._columns.items()}


_LABEL = ("rank", "known_us", "fraud")
_COLUMNS = {"decided_us": "q", "action": "b", "amount": "d", "rank": "q", "known_us": "q", "fraud": "b"}


class LabelOutcomes:
    """The labels of one detector's decisions of the last 30 days; may be asked from any thread, and waits for the disk."""

    def __init__(self, active: ActiveDetector, ledger: Ledger, queries: RecordQueries, clock: Clock) -> None:
        self._active, self._ledger, self._queries, self._clock = active, ledger, queries, clock
        self._lock = threading.Lock()
        self._position: int | None = None
        self._rows: dict[int, int] = {}
        self._decided = _LabelledDecisions()
        self._coming: list[tuple[int, int, int, int]] = []  # known_us, seq, rank, fraud
        self._forgot = False
        self._held: Record | None = None

    def since(self, start_us: int = 0, *, rules: bool = True, look_s: float = LOOK_S) -> LabelledDecision:
        """The known outcomes of decisions since an instant. rules: also by rule, which takes longer."""
        with self._lock:
            read = self._look(time.perf_counter() + look_s)
            return self._known(start_us, read, rules=rules)

    def since_each(self, starts_us: Sequence[int], *, look_s: float = LOOK_S) -> list[LabelledDecision]:
        """The same for several instants, of the same labels: their differences are what is known of the time between."""
        with self._lock:
            read = self._look(time.perf_counter() + look_s)
            return [self._known(start_us, read, rules=False) for start_us in starts_us]

    def _known(self, start_us: int, read: bool, *, rules: bool) -> LabelledDecision:
        rows = self._decided
        chosen = np.flatnonzero(rows["decided_us"] >= start_us)
        fraud = rows["fraud"][chosen].astype(np.int64)
        place = fraud * _ACTIONS + rows["action"][chosen]
        worth: NDArray[np.float64] = rows["amount"][chosen]
        counts = np.bincount(place, minlength=2 * _ACTIONS).reshape(2, -1)
        amounts = np.bincount(place, weights=worth, minlength=2 * _ACTIONS).reshape(2, -1).astype(np.float64)
        by_rule: dict[str, NDArray[np.int64]] = {}
        blocked: dict[str, NDArray[np.float64]] = {}
        stopped = (rows["action"][chosen] == Action.BLOCK.value).tolist()
        for at, (row, says) in enumerate(zip(chosen.tolist(), fraud.tolist(), strict=True)) if rules else ():
            for name in rows.rules[row]:
                by_rule.setdefault(name, np.zeros(2, np.int64))[says] += 1
                if stopped[at]:
                    blocked.setdefault(name, np.zeros((2, 2)))[says] += 1.0, worth[at]
        return LabelledDecision(counts, amounts, by_rule, read and not self._forgot, blocked, read)

    def of(self, seqs: Sequence[int], *, look_s: float = LOOK_S) -> dict[int, bool]:
        """Which of these decisions, by sequence number, are known now: whether they are fraud."""
        with self._lock:
            self._look(time.perf_counter() + look_s)
            return {seq: self._decided.label(row)[2] for seq in seqs if (row := self._rows.get(seq)) is not None}

    # ---- reading

    def _look(self, until_s: float) -> bool:
        """Read labels that are new, and take those that are known now; False where there are more."""
        ledger = self._ledger
        while self._coming and self._coming[0][0] <= self._clock():
            self._take(*heapq.heappop(self._coming))
        if self._position is None:
            oldest = RANGES["30d"]
            self._position = self._position_at(self._clock() - (oldest.buckets + 1) * oldest.bucket_us)
        stop = ledger.durable_position
        for position, record in ledger.read(self._position, ("labels",)):
            if record.detector == self._active.name:
                self._learn(record)
            self._position = position + 1
            if time.perf_counter() > until_s:
                return False
        self._position = max(self._position, stop)
        return True

    def _learn(self, record: Record) -> None:
        columns: Any = record.columns
        labels = (columns[name].tolist() for name in ("known_us", "seq", "rank", "fraud"))
        for label in zip(*labels, strict=True):
            if label[0] > self._clock():  # it says nothing yet, and must not replace one that does
                heapq.heappush(self._coming, label)
            else:
                self._take(*label)
        if len(self._coming) > 2 * MOST:
            self._forgot, self._coming = True, heapq.nsmallest(MOST, self._coming)

    def _take(self, known_us: int, seq: int, rank: int, fraud: int) -> None:
        """Let a label count, beside those of the same decision that are known now."""
        row = self._rows.get(seq)
        if row is not None:
            if (rank, known_us) >= self._decided.label(row)[:2]:
                self._decided.say(row, rank, known_us, fraud)
            return
        decided = self._decision(seq)
        if decided is not None:
            self._rows[seq] = len(self._decided)
            rules, values = decided
            self._decided.append(rules, **values, rank=rank, known_us=known_us, fraud=fraud)
        if len(self._decided) > 2 * MOST:
            self._forget()

    def _decision(self, seq: int) -> tuple[tuple[str, ...], dict[str, float]] | None:
        """The rules that fired on the decision with this number, and its columns; None where the log no longer holds it."""
        if self._held is None or not self._held.first_seq <= seq < self._held.first_seq + len(self._held):
            found = self._ledger.record_of(seq)
            self._held = None if found is None else found[0]
        record = self._held
        if record is None or record.kind != "decisions":
            return None
        row = seq - record.first_seq
        columns: Any = record.columns
        names, x = self._queries.names_in(record), columns["x"]
        worth, _ = worth_of(self._active.detector)
        amount = float(x[row][names.index(worth)]) if worth in names else 0.0
        fired = tuple(dict.fromkeys(_fired(names, x[row])))
        values = {"action": int(columns["action"][row]), "amount": float(np.nan_to_num(amount))}
        return fired, {"decided_us": record.meta["decided_us"], **values}

    def _forget(self) -> None:
        """Keep those that were labelled last."""
        self._forgot = True
        self._decided.keep(MOST)
        newest = list(self._rows)[-MOST:]
        self._rows = {seq: row for row, seq in enumerate(newest)}

    def _position_at(self, instant_us: int) -> int:
        """The first record that arrived at this instant or later, or one shortly before it."""
        ledger = self._ledger
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
