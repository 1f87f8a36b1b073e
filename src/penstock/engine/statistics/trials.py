"""Live statistics of trials: counts of the newest events in bounded memory, for guards and for people.

All counts derive from the records of decisions. After a restart or a change of owner they are counted again from the ledger
(`recall`), with the same result. Comparisons over days also read the ledger (`penstock.offline.trial`).
"""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.clock import SECOND_US, Clock, iso
from penstock.decision.guard import TrialFigures
from penstock.engine.pipeline import BatchResult
from penstock.engine.records import would
from penstock.engine.trials.challenger import MODEL
from penstock.engine.trials.shadow import Trial
from penstock.ledger import Ledger
from penstock.messages import Action, Record

Counted = NDArray[np.int64]
"""(WIDTH,): pairs of decisions, errors, times of both, scores of both."""

_MINUTE_US = 60 * SECOND_US
_SECONDS, _MINUTES = 600, 1440
"""The number of newest seconds, and of minutes before them, with separate counts."""

_ACTIONS = len(Action)
_PAIRS = _ACTIONS * _ACTIONS
_STEPS = 96
_LEAST_MS = 0.001
_EDGES_MS = _LEAST_MS * 10 ** (np.arange(_STEPS) / 12)  # 1 us to more than a minute, 12 steps to a decade
_BINS = 20
_SCORE_EDGES = np.linspace(0, 1, _BINS + 1)[1:-1]

_ERRORS = _PAIRS
_TIMES = _ERRORS + 1
_SCORES = _TIMES + 2 * (_STEPS + 1)
_WIDTH = _SCORES + 2 * _BINS


def nothing() -> Counted:
    """The counts of no events."""
    return np.zeros(_WIDTH, np.int64)


def count(
    champion: NDArray[np.uint8],
    candidate: NDArray[np.uint8],
    times_ms: NDArray[np.float64] | None = None,
    sizes: Sequence[int] = (),
    scores: NDArray[np.float64] | None = None,
) -> Counted:
    """The counts of some events.

    Args:
        champion: uint8 (n,), its decisions, real or hypothetical; `NO_ACTION` where it failed.
        candidate: the same of the candidate.
        times_ms: (batches, 2), their durations; every event waited for its batch.
        sizes: how many events the batches had.
        scores: (n, 2), of both.
    """
    out = nothing()
    first, second = champion.astype(np.int64), candidate.astype(np.int64)
    both = (first < _ACTIONS) & (second < _ACTIONS)
    out[:_PAIRS] = np.bincount(_ACTIONS * first[both] + second[both], minlength=_PAIRS)
    out[_ERRORS] = len(both) - np.count_nonzero(both)
    for at in range(2):
        if times_ms is not None:
            steps = np.searchsorted(_EDGES_MS, times_ms[:, at], side="left")
            start = _TIMES + at * (_STEPS + 1)
            out[start : start + _STEPS + 1] = np.bincount(steps, weights=sizes, minlength=_STEPS + 1)
        if scores is not None:
            known = scores[~np.isnan(scores[:, at]), at]
            start = _SCORES + at * _BINS
            out[start : start + _BINS] = np.bincount(np.searchsorted(_SCORE_EDGES, known, side="right"), minlength=_BINS)
    return out


class Panes:
    """Counts of the newest events, by second and by minute, and of all events, in constant memory."""

    def __init__(self) -> None:
        self.total = nothing()
        self.seconds: deque[tuple[int, Counted]] = deque()
        self.minutes: deque[tuple[int, Counted]] = deque(maxlen=_MINUTES)

    def add(self, counts: Counted, now_us: int) -> None:
        """Count some events."""
        self.total += counts
        _into(self.seconds, now_us // SECOND_US * SECOND_US, counts)
        while self.seconds and self.seconds[0][0] < now_us - _SECONDS * SECOND_US:
            at, old = self.seconds.popleft()
            _into(self.minutes, at // _MINUTE_US * _MINUTE_US, old)

    def newest(self, window_us: int, now_us: int) -> Counted:
        """The counts of a window: exact to the second for short windows, to the minute for others."""
        found = nothing()
        for at, counts in self.panes:
            if at > now_us - window_us:
                found += counts
        return found

    @property
    def panes(self) -> list[tuple[int, Counted]]:
        """All kept counts, oldest first, each with its start."""
        return [*self.minutes, *self.seconds]

    def after(self, earlier: "Panes") -> "Panes":
        """The sum of both; the other covers earlier events only."""
        found = Panes()
        for at, counts in [*earlier.panes, *self.panes]:
            found.add(counts, at)
        found.total = earlier.total + self.total
        return found


def _into(panes: "deque[tuple[int, Counted]]", at: int, counts: Counted) -> None:
    if panes and panes[-1][0] == at:
        panes[-1][1][:] += counts
    else:
        panes.append((at, counts.copy()))


def trial_figures(counts: Counted) -> TrialFigures:
    """The counts in the form that guards read."""
    pairs = counts[:_PAIRS].reshape(_ACTIONS, _ACTIONS)
    times = [_quantile_ms(counts, at, 0.99) for at in range(2)]
    return TrialFigures(
        events=int(pairs.sum()),
        champion=tuple(pairs.sum(axis=1).tolist()),
        candidate=tuple(pairs.sum(axis=0).tolist()),
        errors=int(counts[_ERRORS]),
        p99_ms=None if times[0] is None or times[1] is None else (times[0], times[1]),
    )


def form_of(counts: Counted) -> dict[str, Any]:
    """The counts, for people: events, errors, agreement, decisions of both, their matrix, scores, times."""
    pairs = counts[:_PAIRS].reshape(_ACTIONS, _ACTIONS)
    actions = [action.name for action in Action]
    events = int(pairs.sum())
    scores = {which: _scores(counts, at) for at, which in enumerate(("champion", "candidate"))}
    return {
        "events": events,
        "errors": int(counts[_ERRORS]),
        "agreement": int(np.trace(pairs)) / events if events else None,
        "champion": dict(zip(actions, pairs.sum(axis=1).tolist(), strict=True)),
        "candidate": dict(zip(actions, pairs.sum(axis=0).tolist(), strict=True)),
        "matrix": {actions[a]: dict(zip(actions, pairs[a].tolist(), strict=True)) for a in range(_ACTIONS)},
        "scores": scores if any(map(any, scores.values())) else None,
        "latency_ms": _times(counts),
    }


def _scores(counts: Counted, which: int) -> list[int]:
    start = _SCORES + which * _BINS
    found: list[int] = counts[start : start + _BINS].tolist()
    return found


def _quantile_ms(counts: Counted, which: int, share: float) -> float | None:
    """The upper edge of the histogram bin that contains the quantile: at most a fifth too high."""
    start = _TIMES + which * (_STEPS + 1)
    times = counts[start : start + _STEPS + 1]
    if not times.any():
        return None
    step = int(np.searchsorted(np.cumsum(times), share * times.sum()))
    return float(_EDGES_MS[min(step, _STEPS - 1)])


def _times(counts: Counted) -> dict[str, dict[str, float | None]] | None:
    if not counts[_TIMES : _TIMES + _STEPS + 1].any():
        return None
    return {
        which: {name: _quantile_ms(counts, at, share) for name, share in (("p50", 0.5), ("p99", 0.99))}
        for at, which in enumerate(("champion", "candidate"))
    }


_TOGETHER = 64
"""Batches that are counted together."""


# ---------------------------------------------------------------- the trials of an engine


class TrialStatistics:
    """Counts of every trial of one engine. One thread adds, any may ask."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.counts: dict[str, _Counts] = {}
        self._names: tuple[str, ...] = ()
        self._waiting: list[Record] = []
        self._lock = threading.Lock()

    def use(self, trials: Sequence[Trial]) -> None:
        """Set the current trials, in the order of their columns in records.

        Counts continue for unchanged trials; others start anew, or end.
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
        """Count decisions; does nothing without trials."""
        if "would" not in record.columns:
            return
        with self._lock:
            if len(self._waiting) >= _TOGETHER or (self._waiting and _second(self._waiting[0]) != _second(record)):
                self._fold()
            self._waiting.append(record)

    def _fold(self) -> None:
        """Count the pending batches of one second together: single ones may be as small as one event."""
        if not self._waiting:
            return
        records, self._waiting = self._waiting, []
        for name in self.counts:
            found = self.counts[name]
            found.panes.add(_counted(records, self._names, found.trial), _second(records[0]))
            found.first_seq = records[0].first_seq if found.first_seq is None else found.first_seq

    def recall(self, name: str, window_us: int, ledger: Ledger, detector: str) -> bool:
        """Count earlier decisions under a trial, as far back as the window; returns whether it did.

        It may take long; call it in any thread. It reads backwards and stops at the first decision without the trial.
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
        """The names of the running trials."""
        with self._lock:
            return list(self.counts)

    def figures(self, name: str, window_us: int) -> TrialFigures:
        """The figures of champion and candidate on the newest events; empty if the trial has ended."""
        with self._lock:
            self._fold()
            found = self.counts.get(name)
            return trial_figures(nothing() if found is None else found.panes.newest(window_us, self._clock()))

    def form(self) -> list[dict[str, Any]]:
        """The results of every trial, for people: counts, matrix of decisions, scores, times."""
        with self._lock:
            self._fold()
            return [_form(found) for found in self.counts.values()]


@dataclass(slots=True)
class _Counts:
    """The counts of one trial. first_seq: of the first decision counted live. recalled: earlier ones are counted, too."""

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
    if trial.version is None:  # durations of the rules with the candidate, next to those without it
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
        if record.meta["decided_us"] <= since_us or not _is_of(record, trial):
            return
        if trial.name not in _names(layouts.get(str(record.meta["layout"]), {})):
            return
        if "would" in record.columns:  # absent where a failure decided
            yield record


def _names(fields: Any) -> tuple[str, ...]:
    """The trials in the order of their columns in records of a layout."""
    return tuple(each.name.removeprefix(would("")) for each in fields.get("would", ())[1:])


def _is_of(record: Record, trial: Trial) -> bool:
    """Whether a challenger was tried against the present champion."""
    return trial.version is None or trial.what == str(record.meta["versions"]["model"])


def _second(record: Record) -> int:
    return int(record.meta["decided_us"] // SECOND_US * SECOND_US)
