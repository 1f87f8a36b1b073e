"""One event of a key with a million events in its window, beside one of a key with none: p50 of the kernel's work."""

import time

import numpy as np
from _report import Row, main, percentile
from _workload import batch_of, detector, stream

from penstock.ingest.selection import take


def _times(state, batch, rows) -> list[float]:
    """Microseconds of each event alone."""
    took = []
    for row in rows:
        one = take(batch, slice(row, row + 1))
        start = time.perf_counter_ns()
        state.apply(one, row)
        took.append((time.perf_counter_ns() - start) / 1000)
    return took


def run(quick: bool) -> list[Row]:
    n, probes = (200_000, 2_000) if quick else (1_000_000, 10_000)
    declared = detector()
    hot = batch_of(declared, stream(n + probes, customers=1, devices=1, merchants=1, days=1, seed=1).with_columns())
    hot.time_us[:] = hot.time_us[0] + np.arange(len(hot)) * 3_000_000_000 // len(hot)  # all within 50 minutes
    cold = batch_of(declared, stream(2 * probes, customers=10**9, devices=10**9, merchants=10**9, seed=2))
    cold.time_us[:] = hot.time_us[n]
    state = declared.state()
    state.apply(take(hot, slice(0, n)), 0)
    hot_us, cold_us = [], []
    for start in range(0, probes, 100):  # in turn, so that a noisy machine disturbs both alike
        hot_us += _times(state, hot, range(n + start, n + start + 100))
        cold_us += _times(state, cold, range(start, start + 100))
    p50_hot, p50_cold = percentile(hot_us, 50), percentile(cold_us, 50)
    ratio = p50_hot / p50_cold
    return [
        Row(f"one event, {n:,} in the window", p50_hot, "us", "none in the window", p50_cold, ratio, "<= 1.2x", ratio <= 1.2)
    ]


if __name__ == "__main__":
    main(run)
