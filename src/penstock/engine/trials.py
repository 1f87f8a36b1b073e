"""What trials have come to, live: counts of the newest events in memory that does not grow, for guards and for people.

Comparison over days is made from the ledger (`penstock.offline.trial`); this is what is known at once.
"""

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.clock import SECOND_US, Clock, iso
from penstock.decision.guard import Seen
from penstock.engine.path import Judged
from penstock.engine.trying import MODEL, Tried
from penstock.messages import Action

_MINUTE_US = 60 * SECOND_US
_SECONDS, _MINUTES = 600, 1440
"""How many seconds, and how many minutes before them, are kept one by one."""

_TOGETHER = 64
"""Batches that are counted together."""

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


class Trials:
    """Counts of every trial of one engine. One thread adds, any may ask."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: dict[str, _Counts] = {}
        self._waiting: list[tuple[int, Tried, int]] = []
        self._lock = threading.Lock()

    def use(self, candidates: Sequence[tuple[str, str]]) -> None:
        """What is tried from now on: names of trials, each with what tells its champion and candidate from others.

        Counts go on for those that are as they were; the others begin anew, or end.
        """
        with self._lock:
            self._fold()
            before = self._counts
            self._counts = {
                name: before[name] if name in before and before[name].what == what else _Counts(what, self._clock())
                for name, what in candidates
            }

    def add(self, judged: Judged) -> None:
        """Count a batch; nothing where nothing is tried."""
        if judged.tried is None:
            return
        second = self._clock() // SECOND_US
        with self._lock:
            if len(self._waiting) >= _TOGETHER or (self._waiting and self._waiting[0][0] != second):
                self._fold()
            self._waiting.append((second, judged.tried, judged.latency_ns["models"]))

    def _fold(self) -> None:
        """Count what waits, all of one second: batches of one event are too small to be counted each."""
        if not self._waiting:
            return
        batches, self._waiting = self._waiting, []
        second, first, _ = batches[0]
        for place, name in enumerate(first.names, 1):
            if name in self._counts:
                counts = _counted([tried for _, tried, _ in batches], [ns for _, _, ns in batches], place)
                self._counts[name].add(counts, second * SECOND_US)

    @property
    def names(self) -> list[str]:
        """The trials there are."""
        with self._lock:
            return list(self._counts)

    def seen(self, name: str, window_us: int) -> Seen:
        """What champion and candidate did with the newest events; nothing of a trial that has ended."""
        with self._lock:
            self._fold()
            found = self._counts.get(name)
            return _seen(np.zeros(_WIDTH, np.int64) if found is None else found.newest(window_us, self._clock()))

    def form(self) -> list[dict[str, Any]]:
        """Every trial since it began here: counts, matrix of decisions, scores, times. For people."""
        with self._lock:
            self._fold()
            return [_form(name, found) for name, found in self._counts.items()]


class _Counts:
    """Of one trial: all of it, and the newest by second and by minute."""

    def __init__(self, what: str, since_us: int) -> None:
        self.what, self.since_us = what, since_us
        self.total = np.zeros(_WIDTH, np.int64)
        self._seconds: deque[tuple[int, NDArray[np.int64]]] = deque()
        self._minutes: deque[tuple[int, NDArray[np.int64]]] = deque(maxlen=_MINUTES)

    def add(self, counts: NDArray[np.int64], now_us: int) -> None:
        """Count some events."""
        self.total += counts
        _into(self._seconds, now_us // SECOND_US * SECOND_US, counts)
        while self._seconds and self._seconds[0][0] < now_us - _SECONDS * SECOND_US:
            at, old = self._seconds.popleft()
            _into(self._minutes, at // _MINUTE_US * _MINUTE_US, old)

    def newest(self, window_us: int, now_us: int) -> NDArray[np.int64]:
        """The counts of a window, to the second where it is short, else to the minute."""
        found = np.zeros(_WIDTH, np.int64)
        for pane in (self._minutes, self._seconds):
            for at, counts in pane:
                if at > now_us - window_us:
                    found += counts
        return found


def _into(panes: "deque[tuple[int, NDArray[np.int64]]]", at: int, counts: NDArray[np.int64]) -> None:
    if panes and panes[-1][0] == at:
        panes[-1][1][:] += counts
    else:
        panes.append((at, counts.copy()))


def _counted(batches: Sequence[Tried], models_ns: Sequence[int], place: int) -> NDArray[np.int64]:
    """The counts of some batches for the trial in this place. models_ns: what scoring took the champion."""
    out = np.zeros(_WIDTH, np.int64)
    would = np.concatenate([tried.would for tried in batches])
    champion, candidate = would[:, 0].astype(np.int64), would[:, place].astype(np.int64)
    both = (champion < _ACTIONS) & (candidate < _ACTIONS)
    out[:_PAIRS] = np.bincount(_ACTIONS * champion[both] + candidate[both], minlength=_PAIRS)
    out[_ERRORS] = len(both) - np.count_nonzero(both)
    if batches[0].names[place - 1] == MODEL:
        sizes = [len(tried.would) for tried in batches]  # every event waited for its batch
        for at, spent_ns in enumerate((models_ns, [tried.spent_ns for tried in batches])):
            steps = np.searchsorted(_EDGES_MS, np.array(spent_ns) / 1e6, side="left")
            start = _TIMES + at * (_STEPS + 1)
            out[start : start + _STEPS + 1] = np.bincount(steps, weights=sizes, minlength=_STEPS + 1)
        scores = np.concatenate([tried.scores for tried in batches if tried.scores is not None])
        for at in range(2):
            known = scores[~np.isnan(scores[:, at]), at]
            start = _SCORES + at * _BINS
            out[start : start + _BINS] = np.bincount(np.searchsorted(_SCORE_EDGES, known, side="right"), minlength=_BINS)
    return out


def _seen(counts: NDArray[np.int64]) -> Seen:
    pairs = counts[:_PAIRS].reshape(_ACTIONS, _ACTIONS)
    times = [_quantile_ms(counts, at, 0.99) for at in range(2)]
    return Seen(
        events=int(pairs.sum()),
        champion=tuple(pairs.sum(axis=1).tolist()),
        candidate=tuple(pairs.sum(axis=0).tolist()),
        errors=int(counts[_ERRORS]),
        p99_ms=None if times[0] is None or times[1] is None else (times[0], times[1]),
    )


def _quantile_ms(counts: NDArray[np.int64], which: int, share: float) -> float | None:
    """The upper edge of the step that the quantile lies in, which is up to a fifth too high."""
    start = _TIMES + which * (_STEPS + 1)
    times = counts[start : start + _STEPS + 1]
    if not times.any():
        return None
    step = int(np.searchsorted(np.cumsum(times), share * times.sum()))
    return float(_EDGES_MS[min(step, _STEPS - 1)])


def _form(name: str, found: _Counts) -> dict[str, Any]:
    counts = found.total
    pairs = counts[:_PAIRS].reshape(_ACTIONS, _ACTIONS)
    actions = [action.name for action in Action]
    same = int(np.trace(pairs))
    events = int(pairs.sum())
    scores = {
        which: counts[_SCORES + at * _BINS : _SCORES + (at + 1) * _BINS].tolist()
        for at, which in enumerate(("champion", "candidate"))
    }
    return {
        "trial": name,
        "since": iso(found.since_us),
        "events": events,
        "errors": int(counts[_ERRORS]),
        "agreement": same / events if events else None,
        "champion": dict(zip(actions, pairs.sum(axis=1).tolist(), strict=True)),
        "candidate": dict(zip(actions, pairs.sum(axis=0).tolist(), strict=True)),
        "matrix": {actions[a]: dict(zip(actions, pairs[a].tolist(), strict=True)) for a in range(_ACTIONS)},
        "scores": scores if any(map(any, scores.values())) else None,
        "latency_ms": _times(counts),
    }


def _times(counts: NDArray[np.int64]) -> dict[str, dict[str, float | None]] | None:
    if not counts[_TIMES : _TIMES + _STEPS + 1].any():
        return None
    return {
        which: {name: _quantile_ms(counts, at, share) for name, share in (("p50", 0.5), ("p99", 0.99))}
        for at, which in enumerate(("champion", "candidate"))
    }
