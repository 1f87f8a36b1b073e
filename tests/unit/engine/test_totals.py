"""Counters of what was decided."""

import sys
import threading

import numpy as np

from penstock.engine.statistics.totals import Totals
from penstock.messages import Layout, Record, Type

BATCHES, ROWS = 4_000, 3


def test_counts_are_right_while_another_thread_looks_at_them():
    layout = Layout()
    layout.add("amount", Type.NUMBER)
    totals = Totals("amount", layout, lambda: 0)
    columns = {"x": np.full((ROWS, 1), 2.0), "action": np.zeros(ROWS, np.uint8)}
    record = Record("decisions", "d", 0, ["t"] * ROWS, np.zeros(ROWS, np.uint64), np.zeros(ROWS, np.int64), None, columns, {})
    record.meta["decided_us"] = 0
    ending, failed = threading.Event(), []

    def look():
        try:
            while not ending.is_set():
                totals.metrics()
        except ValueError as error:
            failed.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        for _ in range(BATCHES):
            totals.recorded(record, ["amount"], None)
    finally:
        ending.set()
        watcher.join()
        sys.setswitchinterval(interval)
    assert not failed
    assert (totals.stats()["total"], totals.stats()["amount"]) == (BATCHES * ROWS, BATCHES * ROWS * 2.0)


def test_decisions_made_elsewhere_count_to_the_rate_for_as_long_as_they_are_new():
    now = [100_000_000]
    totals = Totals(None, Layout(), lambda: now[0])
    for decided_s, rows in ((80, 5), (95, 3), (99, 4)):
        columns = {"x": np.zeros((rows, 1)), "action": np.zeros(rows, np.uint8)}
        none = np.zeros(rows, np.int64)
        record = Record("decisions", "d", 0, ["t"] * rows, none, none, none, columns, {"decided_us": decided_s * 1_000_000})
        totals.recorded(record, [], None)
    assert totals.per_second == 0.7
    now[0] += 6_000_000
    assert totals.per_second == 0.4


def test_latencies_are_those_of_decisions_made_elsewhere_too():
    totals, none = Totals(None, Layout(), lambda: 0), np.zeros(1, np.int64)
    for spent_ms in (1.0, 3.0, None):
        meta = {"decided_us": 0, "layout": "v1"} | ({} if spent_ms is None else {"latency_ms": {"total": spent_ms}})
        columns = {"x": np.zeros((1, 1)), "action": np.zeros(1, np.uint8)}
        totals.recorded(Record("decisions", "shop", 0, ["t"], none, none, none, columns, meta), [], None)
    assert totals.stats()["latency_ms"] == {"p50": 2.0, "p95": 2.9, "p99": 2.98}
