"""Aggregates that read the values of a window one by one, and sessions, beside a mean: p50 of the kernel's work on one event,
of a key with 100,000 events in its window and of keys with some thirty.
"""

import time

from _report import Row, main, percentile
from _workload import batch_of, customer, detector, stream

from penstock.features.compiled.background import find
from penstock.features.compiled.build import compile_source
from penstock.ingest.selection import take

AGGREGATES = {
    "median": customer.median("amount", "30d"),
    "p90": customer.quantile("amount", "30d", q=0.9),
    "approximate p90": customer.approx_quantile("amount", "30d", q=0.9),
    "mode": customer.mode("merchant_id", "30d"),
    "entropy": customer.entropy("merchant_id", "30d"),
    "session": customer.session_sum("amount", "30m"),
}
MEAN = customer.mean("amount", "30d")


class Measured:
    """A state that has seen all events but the last, and what each of those takes."""

    def __init__(self, feature, frame, probes: int) -> None:
        declared = detector([feature])
        self.batch, self.state, self.us = batch_of(declared, frame), declared.state(), []
        for text in find(self.state):
            compile_source(text)
        assert find(self.state) == []
        self.next = len(self.batch) - probes
        self.state.apply(take(self.batch, slice(0, self.next)), 0)

    def probe(self, events: int) -> None:
        """Some events, each alone."""
        for row in range(self.next, self.next + events):
            one = take(self.batch, slice(row, row + 1))
            start = time.perf_counter_ns()
            self.state.apply(one, row)
            self.us.append((time.perf_counter_ns() - start) / 1000)
        self.next += events


def _rows(keys: str, frame, probes: int) -> list[Row]:
    states = {name: Measured(feature, frame, probes) for name, feature in {"mean": MEAN, **AGGREGATES}.items()}
    for _ in range(probes // 100):  # in turn, so that a noisy machine disturbs all alike
        for each in states.values():
            each.probe(100)
    found = {name: percentile(each.us, 50) for name, each in states.items()}
    mean = found.pop("mean")
    return [
        Row(f"{name}, {keys}", p50, "us", "mean", mean, p50 / mean, "<= 1.5x", p50 / mean <= 1.5) for name, p50 in found.items()
    ]


def run(quick: bool) -> list[Row]:
    """Both kinds of keys."""
    n, probes = (40_000, 1_000) if quick else (100_000, 10_000)
    hot = stream(n + probes, customers=1, merchants=200, days=10, seed=1)
    usual = stream(n + probes, customers=n // 30, merchants=200, days=30, seed=2)
    return [*_rows("a hot key", hot, probes), *_rows("30 events a key", usual, probes)]


if __name__ == "__main__":
    main(run)
