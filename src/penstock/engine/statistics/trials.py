"""What trials have come to, live: counts of the newest events in memory that does not grow, for guards and for people.

Everything is counted from the records of decisions, so what was counted before a restart, or by the owner before this one, is
counted again from the ledger (`recall`), and is the same. Comparison over days is made there, too (`penstock.offline.trial`).
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.clock import SECOND_US, Clock, iso
from penstock.decision.guard import Seen
from penstock.engine.pipeline import BatchResult
from penstock.engine.records import would
from penstock.engine.statistics.trial_counts import Counted, Panes, count, form_of, nothing, seen_of
from penstock.engine.trials.challenger import MODEL
from penstock.engine.trials.shadow import Trial
from penstock.ledger import Ledger
from penstock.messages import Record

_TOGETHER = 64
"""Batches that are counted together."""


class TrialStatistics:
    """Counts of every trial of one engine. One thread adds, any may ask."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.counts: dict[str, _Counts] = {}
        self._names: tuple[str, ...] = ()
        self._waiting: list[Record] = []
        self._lock = threading.Lock()

    def use(self, trials: Sequence[Trial]) -> None:
        """What is tried from now on, in the order of its columns in records.

        Counts go on for those that are as they were; the others begin anew, or end.
        """
        with self._lock:
            self._fold()
            before, self._names = self.counts, tuple(trial.name for trial in trials)
            self.counts = {
                trial.name: before[trial.name]
                if trial.name in before and before[trial.name].trial == trial
                else _Counts(trial, self._clock())
                for trial in trials
            }

    def decided(self, record: Record, _result: BatchResult, _rendered: list[bytes]) -> None:
        """Count new decisions."""
        self.add(record)

    def add(self, record: Record) -> None:
        """Count decisions; nothing where nothing is tried."""
        if "would" not in record.columns:
            return
        with self._lock:
            if len(self._waiting) >= _TOGETHER or (self._waiting and _second(self._waiting[0]) != _second(record)):
                self._fold()
            self._waiting.append(record)

    def _fold(self) -> None:
        """Count what waits, all of one second: batches of one event are too small to be counted each."""
        if not self._waiting:
            return
        records, self._waiting = self._waiting, []
        for name in self.counts:
            found = self.counts[name]
            found.panes.add(_counted(records, self._names, found.trial), _second(records[0]))
            found.first_seq = records[0].first_seq if found.first_seq is None else found.first_seq

    def recall(self, name: str, window_us: int, ledger: Ledger, detector: str) -> bool:
        """Count what was decided under a trial before this engine decided, as far back as the window; whether it has been.

        May take a while, in any thread. Going back, it ends where the trial had not begun: at a decision without it.
        """
        with self._lock:
            self._fold()
            found = self.counts.get(name)
            if found is None or found.recalled or found.first_seq is None:
                return found is None or found.recalled
            before = found.first_seq
        since_us = self._clock() - window_us
        earlier, began_us = Panes(), found.since_us
        layouts = ledger.layouts()
        records = list(_backwards(ledger, detector, before, since_us, found.trial, layouts))
        for record in reversed(records):
            names = _names(layouts[str(record.meta["layout"])])
            earlier.add(_counted([record], names, found.trial), _second(record))
            began_us = min(began_us, _second(record))
        with self._lock:
            found.panes, found.since_us, found.recalled = found.panes.after(earlier), began_us, True
        return True

    @property
    def names(self) -> list[str]:
        """The trials there are."""
        with self._lock:
            return list(self.counts)

    def seen(self, name: str, window_us: int) -> Seen:
        """What champion and candidate did with the newest events; nothing of a trial that has ended."""
        with self._lock:
            self._fold()
            found = self.counts.get(name)
            return seen_of(nothing() if found is None else found.panes.newest(window_us, self._clock()))

    def form(self) -> list[dict[str, Any]]:
        """Every trial with what it has come to: counts, matrix of decisions, scores, times. For people."""
        with self._lock:
            self._fold()
            return [_form(found) for found in self.counts.values()]


@dataclass(slots=True)
class _Counts:
    """Of one trial. first_seq: of the first decision that was counted live. recalled: earlier ones have been counted, too."""

    trial: Trial
    since_us: int
    panes: Panes = field(default_factory=Panes)
    first_seq: int | None = None
    recalled: bool = False


def _form(found: _Counts) -> dict[str, Any]:
    trial = found.trial
    name = trial.name if trial.version is None else MODEL
    return {"trial": name, "version": trial.version, "since": iso(found.since_us), **form_of(found.panes.total)}


def _counted(records: Sequence[Record], names: Sequence[str], trial: Trial) -> Counted:
    """The counts of a trial in some records. names: of the trials in the order of their columns."""
    place = 1 + names.index(trial.name)
    outcomes = _stacked(records, "would")
    took = "models" if trial.version is not None else "rules"
    times = np.array([(record.meta["latency_ms"].get(took, 0.0), _spent(record, trial)) for record in records])
    scores = None
    if trial.version is None:  # what rules take with the candidate, beside what they take without it
        times = np.column_stack([times[:, 0] - times[:, 1], times[:, 0]])
    else:
        scores = _stacked(records, "trial_scores")[:, [0, place]]
    return count(outcomes[:, 0], outcomes[:, place], times, [len(record) for record in records], scores)


def _stacked(records: Sequence[Record], name: str) -> NDArray[Any]:
    found: list[Any] = [record.columns[name] for record in records]
    return np.concatenate(found)


def _spent(record: Record, trial: Trial) -> float:
    found: float = record.meta.get("trial_ms", {}).get(trial.name, 0.0)
    return found


def _backwards(ledger: Ledger, detector: str, before: int, since_us: int, trial: Trial, layouts: Any) -> Iterator[Record]:
    """The records under a trial just before a sequence number, the newest first."""
    last: Record | None = None
    for record, _ in ledger.recent(detector, before=before):
        if record is last:
            continue
        last = record
        if record.meta["decided_us"] <= since_us or not _beside(record, trial):
            return
        if trial.name not in _names(layouts.get(str(record.meta["layout"]), {})):
            return
        if "would" in record.columns:  # it is not where a failure decided
            yield record


def _names(fields: Any) -> tuple[str, ...]:
    """The trials in the order of their columns in records of a layout."""
    return tuple(each.name.removeprefix(would("")) for each in fields.get("would", ())[1:])


def _beside(record: Record, trial: Trial) -> bool:
    """Whether a challenger was tried beside the champion of today."""
    return trial.version is None or trial.what == str(record.meta["versions"]["model"])


def _second(record: Record) -> int:
    return int(record.meta["decided_us"] // SECOND_US * SECOND_US)
