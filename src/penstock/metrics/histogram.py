"""Histograms: plain counters on the hot path, converted to Prometheus' form only for a scrape."""

from bisect import bisect_left
from collections.abc import Sequence

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the latency buckets, in seconds."""

EVENTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Upper bounds of the batch size buckets, in events."""


class Histogram:
    """Counts by bucket; the last bucket holds what exceeds every bound.

    >>> sizes = Histogram(EVENTS)
    >>> sizes.observe(3)
    >>> sizes.counts[2], sizes.sum
    (1, 3)
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum: float = 0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def observe_all(self, values: Sequence[float]) -> None:
        """Count many values at once."""
        import numpy as np  # a command that only declares metrics starts without it

        found = np.bincount(np.searchsorted(self.bounds, values), minlength=len(self.counts))
        self.counts = (self.counts + found).tolist()
        self.sum += sum(values)

    def cumulative(self) -> list[tuple[str, float]]:
        """The buckets as Prometheus wants them: upper bound as text, and how many values are at most that."""
        total = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip([*map(str, self.bounds), "+Inf"], self.counts, strict=True):
            total += count
            buckets.append((bound, total))
        return buckets
