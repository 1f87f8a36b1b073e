"""Latency and batch-size measurements of a detector: plain numbers on the hot path, converted for Prometheus on request."""

import math
from collections import deque
from collections.abc import Sequence

from penstock.metrics import EVENTS, SECONDS, Histogram

NEWEST = 4096
"""The newest latencies kept for percentiles."""


class Measures:
    """Latencies by stage and batch sizes of one detector, as its callers saw them."""

    def __init__(self) -> None:
        self.stages = {stage: Histogram(SECONDS) for stage in ("queue", "decide", "durable", "total")}
        self.batch_events = Histogram(EVENTS)
        self.turned_away = 0
        self.late = 0
        self.newest_ns: deque[int] = deque(maxlen=NEWEST)

    def batch(self, events: int, decide_ns: int, durable_ns: int) -> None:
        """Count an answered batch: its size, and how long deciding and making it durable took."""
        self.batch_events.observe(events)
        self.stages["decide"].observe(decide_ns / 1e9)
        self.stages["durable"].observe(durable_ns / 1e9)

    def request(self, queue_ns: int, total_ns: int) -> None:
        """Count an answered request: its time in the queue, and in all."""
        self.stages["queue"].observe(queue_ns / 1e9)
        self.stages["total"].observe(total_ns / 1e9)
        self.newest_ns.append(total_ns)


def percentiles_ms(newest_ns: Sequence[int]) -> dict[str, float | None]:
    """p50, p95 and p99 in milliseconds (nearest rank); null before anything was measured.

    >>> percentiles_ms([1_000_000, 2_000_000])
    {'p50': 1.0, 'p95': 2.0, 'p99': 2.0}
    """
    ordered = sorted(newest_ns)
    if not ordered:
        return {"p50": None, "p95": None, "p99": None}
    return {f"p{percent}": ordered[math.ceil(len(ordered) * percent / 100) - 1] / 1e6 for percent in (50, 95, 99)}
