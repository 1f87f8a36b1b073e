"""Time buckets: the four ranges that figures of now look back, and counts over time in their steps, by minute and by hour.

Buckets begin at multiples of their length (UTC).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.clock import SECOND_US, iso
from penstock.messages import Action

_HOUR_S, _DAY_S = 3600, 86_400


class StatisticsRange(NamedTuple):
    """One range. step_us: of a chart's points. bucket_us, buckets: of everything else; a bucket holds whole steps."""

    name: str
    step_us: int
    bucket_us: int
    buckets: int

    @property
    def steps(self) -> int:
        """Points of a chart at most."""
        return self.buckets * self.bucket_us // self.step_us

    def start_us(self, now_us: int) -> int:
        """Where it begins: so many buckets back, that of now included.

        >>> RANGES["5m"].start_us(301 * SECOND_US) // SECOND_US
        30
        """
        return (now_us // self.bucket_us - self.buckets + 1) * self.bucket_us


RANGES = {
    name: StatisticsRange(name, step_s * SECOND_US, bucket_s * SECOND_US, buckets)
    for name, step_s, bucket_s, buckets in (
        ("5m", 5, 30, 10),
        ("1h", 60, 300, 12),
        ("24h", 900, _HOUR_S, 24),
        ("30d", 21_600, _DAY_S, 30),
    )
}
"""By name."""


MINUTE_US, HOUR_US = 60 * SECOND_US, 3600 * SECOND_US
MINUTES, HOURS = 60, 24

FINEST_US = min(each.step_us for each in RANGES.values())
"""The length of the shortest period."""


class TimeSeries:
    """Counts of decisions over time, in bounded memory.

    since_us: what was decided before is not counted.

    >>> series = TimeSeries(since_us=0)
    >>> series.add(90 * SECOND_US, np.array([3, 0, 0, 1]), np.array([30.0, 0.0, 0.0, 9.0]))
    >>> series.form(100 * SECOND_US)["minutes"][-1]
    {'at': '1970-01-01T00:01:00Z', 'approve': 3, 'challenge': 0, 'review': 0, 'block': 1, 'amount': 39.0, 'amount_blocked': 9.0}
    """

    def __init__(self, since_us: int) -> None:
        self.since_us = since_us
        self._rings = {"minutes": PeriodRing(MINUTES, MINUTE_US), "hours": PeriodRing(HOURS, HOUR_US)}
        self._rings |= {each.name: PeriodRing(each.steps, each.step_us) for each in RANGES.values()}

    def add(self, at_us: int, counts: NDArray[np.int64], amounts: NDArray[np.float64]) -> None:
        """Count decisions of one shortest period, by action."""
        for ring in self._rings.values():
            ring.add(at_us, counts, amounts)

    def form(self, now_us: int) -> dict[str, Any]:
        """The public form: every minute and hour until now, the oldest first, also those in which nothing happened."""
        return {**{name: self._rings[name].form(now_us) for name in ("minutes", "hours")}, "since": iso(self.since_us)}

    def points(self, chosen: StatisticsRange, now_us: int) -> list[dict[str, Any]]:
        """Every step of a range, the oldest first, that of now the last."""
        return self._rings[chosen.name].form(now_us, chosen.start_us(now_us))

    def sums(self, chosen: StatisticsRange, now_us: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Counts and money of a range, by action."""
        return self._rings[chosen.name].sums(chosen.start_us(now_us), now_us)

    def saved(self) -> dict[str, Any]:
        """The content of a snapshot."""
        return {"since_us": self.since_us, **{name: ring.saved() for name, ring in self._rings.items()}}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on counting from there; what a snapshot of an earlier version lacks begins now."""
        self.since_us = saved["since_us"]
        for name, ring in self._rings.items():
            if name in saved:
                ring.restore(saved[name])


class PeriodRing:
    """The newest n periods of one length; a period's slot is that of its number modulo n."""

    def __init__(self, n: int, length_us: int) -> None:
        self._n, self._length_us = n, length_us
        self._periods = np.full(n, -1, np.int64)
        self._counts = np.zeros((n, len(Action)), np.int64)
        self._amounts = np.zeros((n, len(Action)), np.float64)

    def add(self, at_us: int, counts: NDArray[np.int64], amounts: NDArray[np.float64]) -> None:
        """Count; what is older than the ring reaches is left out."""
        period = at_us // self._length_us
        slot = period % self._n
        if period > self._periods[slot]:
            self._periods[slot] = period
            self._counts[slot] = 0
            self._amounts[slot] = 0.0
        if period == self._periods[slot]:
            self._counts[slot] += counts
            self._amounts[slot] += amounts

    def form(self, now_us: int, start_us: int = 0) -> list[dict[str, Any]]:
        """Each of the newest n periods, or of those from `start_us` on; that of now the last."""
        newest = now_us // self._length_us
        oldest = max(newest - self._n + 1, start_us // self._length_us)
        return [self._one(period) for period in range(oldest, newest + 1)]

    def sums(self, start_us: int, now_us: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Counts and money by action, of the periods from `start_us` on until that of now."""
        known = (self._periods >= start_us // self._length_us) & (self._periods <= now_us // self._length_us)
        return self._counts[known].sum(axis=0), self._amounts[known].sum(axis=0)

    def _one(self, period: int) -> dict[str, Any]:
        slot = period % self._n
        known = self._periods[slot] == period
        counts = self._counts[slot] if known else np.zeros(len(Action), np.int64)
        amounts = self._amounts[slot] if known else np.zeros(len(Action))
        return {
            "at": iso(period * self._length_us),
            **{action.name.lower(): int(counts[action.value]) for action in Action},
            "amount": round(float(amounts.sum()), 2),
            "amount_blocked": round(float(amounts[Action.BLOCK.value]), 2),
        }

    def saved(self) -> list[Any]:
        """The content of a snapshot."""
        return [self._periods.tolist(), self._counts.tolist(), self._amounts.tolist()]

    def restore(self, saved: list[Any]) -> None:
        """Go on counting from there."""
        self._periods[:], self._counts[:], self._amounts[:] = saved
