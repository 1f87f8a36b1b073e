"""What one trial has come to, as counts: of one batch, of windows, of everything since it began."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.clock import SECOND_US
from penstock.decision.guard import Seen
from penstock.messages import Action

Counted = NDArray[np.int64]
"""(WIDTH,): pairs of decisions, errors, times of both, scores of both."""

_MINUTE_US = 60 * SECOND_US
_SECONDS, _MINUTES = 600, 1440
"""How many seconds, and how many minutes before them, are kept one by one."""

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
        champion: uint8 (n,), what it decided, or would have; `NO_ACTION` where it could not.
        candidate: the same of the candidate.
        times_ms: (batches, 2), what each took; every event waited for its batch.
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
    """Counts of the newest events, by second and by minute, and of all. Memory does not grow."""

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
        """The counts of a window, to the second where it is short, else to the minute."""
        found = nothing()
        for at, counts in self.panes:
            if at > now_us - window_us:
                found += counts
        return found

    @property
    def panes(self) -> list[tuple[int, Counted]]:
        """Everything that is kept, the oldest first, each with when it begins."""
        return [*self.minutes, *self.seconds]

    def after(self, earlier: "Panes") -> "Panes":
        """Both together, where all of the other was counted before."""
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


def seen_of(counts: Counted) -> Seen:
    """The counts, as guards look at them."""
    pairs = counts[:_PAIRS].reshape(_ACTIONS, _ACTIONS)
    times = [_quantile_ms(counts, at, 0.99) for at in range(2)]
    return Seen(
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
    """The upper edge of the step that the quantile lies in, which is up to a fifth too high."""
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
