"""Feature state of millions of keys: the longest pause while it grows and is saved, and the memory of a key and of an event.

Keys come in batches of 256, each timed. Then one event after another is decided, 1,000 a second, while a snapshot is written to
disk; the reference of a pause is the same copy taken at once. Memory is that of the process (resident), with the state's own
count beside it. `--quick` has 500,000 keys; without it 5 million, and as many events in windows as the machine's memory holds,
up to 100 million of 10 million keys.
"""

import gc
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from _report import Row, main, percentile
from _workload import DAY, EPOCH_US, customer, detector

from penstock import Engine
from penstock.messages import Batch

NINE = [
    *(feature for window in ("1h", "24h", "7d") for feature in (customer.count(window), customer.sum("amount", window))),
    customer.mean("amount", "7d"),
    customer.std("amount", "7d"),
    customer.since_last("30d"),
]
"""Nine features of one entity."""
_BATCH, _RATE = 256, 1_000
_GIB = 2**30


def _events(declared, keys, time_us: int) -> Batch:
    """One event of each key, all at one time."""
    n, layout = len(keys), declared.plan.layout
    x, codes = np.full((n, layout.width), np.nan), np.zeros((n, layout.text_width), np.int64)
    x[:, layout["amount"].index] = 12.34
    mixed = (keys.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    codes[:, layout["customer_id"].index] = mixed.view(np.int64)
    times = np.full(n, time_us, np.int64)
    return Batch([""] * n, np.zeros(n, np.uint8), times, times, x, codes, {})


def _resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _grow(declared, state, first: int, keys: int) -> list[float]:
    """Milliseconds of each batch of new keys."""
    took = []
    for start in range(first, first + keys, _BATCH):
        batch = _events(declared, np.arange(start, min(start + _BATCH, first + keys)), EPOCH_US)
        began = time.perf_counter()
        state.apply(batch, start, read=False)
        took.append((time.perf_counter() - began) * 1e3)
    return took


def _decide_meanwhile(engine: Engine, keys: int, until) -> list[float]:
    """Milliseconds of single decisions at a steady rate, of known and of new customers, until something is done."""
    body = '{"transaction_id": "%d", "timestamp": "2026-01-01T00:00:%02dZ", "customer_id": "%d", "device_id": "d", "merchant_id": "m", "amount": 1.5}'  # noqa: E501
    rng, took, due, n = np.random.default_rng(1), [], time.perf_counter(), int(time.time() * 1e6)
    while not until() or len(took) < _RATE:
        n, due = n + 1, due + 1 / _RATE
        one = (body % (n, n % 60, rng.integers(0, keys))).encode()
        time.sleep(max(0.0, due - time.perf_counter()))
        began = time.perf_counter()
        engine.decide_json([one])
        took.append((time.perf_counter() - began) * 1e3)
    return took


def _pauses(keys: int) -> list[Row]:
    declared = detector(NINE)
    with tempfile.TemporaryDirectory() as folder, Engine(declared, data=Path(folder), snapshot_every_s=1e9) as engine:
        state = engine.pipeline.state
        _decide_meanwhile(engine, 10, lambda: True)  # compiles
        engine.recovery.snapshot()
        _decide_meanwhile(engine, 10, engine.recovery.writing.done)
        with_active_features = _grow(declared, state, 0, keys)
        gc.collect()
        gc.freeze()  # as servers do
        plain = _decide_meanwhile(engine, keys, lambda: True)
        began = time.perf_counter()
        engine.recovery.snapshot()
        during = _decide_meanwhile(engine, keys, engine.recovery.writing.done)
        lasted = time.perf_counter() - began
        engine.recovery.writing.result()
        began = time.perf_counter()
        copied = sum(array.nbytes for _, array in state.copy())
        at_once = (time.perf_counter() - began) * 1e3
    name, worst = f"{keys:,} keys", max(during)
    return [
        Row.at_most(f"worst batch of {_BATCH} new keys up to {name}", max(with_active_features), "ms", 50),
        Row.shorter("worst decision during a snapshot", worst, "ms", "the same copy at once", at_once),
        Row.at_most("worst decision during a snapshot", worst, "ms", 50),
        Row("p99 of decisions during a snapshot", percentile(during, 99), "ms", "without one", percentile(plain, 99)),
        Row.figure("worst decision without a snapshot", max(plain), "ms"),
        Row.figure(f"snapshot of {name}", lasted, "s"),
        Row.figure(f"snapshot of {name}", copied / 2**20, "MiB"),
    ]


def _memory(keys: int, each: int, entities: int) -> list[Row]:
    """A state with so many events of every key in its windows."""
    features = [*NINE]
    for name in ("device_id", "merchant_id")[: entities - 1]:
        features += [type(customer)(name).count("24h"), type(customer)(name).sum("amount", "24h")]
    declared = detector(features)
    before, state = _resident(), declared.state()
    layout, took = declared.plan.layout, []
    for turn in range(each):
        for start in range(0, keys, 1 << 16):
            batch = _events(declared, np.arange(start, min(start + (1 << 16), keys)), EPOCH_US + turn * DAY * 10**6 // 50)
            for name in ("device_id", "merchant_id")[: entities - 1]:
                batch.codes[:, layout[name].index] = batch.codes[:, layout["customer_id"].index]
            began = time.perf_counter()
            state.apply(batch, turn * keys + start, read=False)
            took.append(time.perf_counter() - began)
        if turn == 0:
            first = _resident() - before
    used, what = _resident() - before, f"{keys:,} keys, {keys * each:,} events, entities: {entities}"
    scaled = used / _GIB * 10_000_000 / keys * (100_000_000 / 10_000_000) / each
    limit = 6 if entities == 1 else 12
    return [
        Row(f"memory of {what}", used / _GIB, "GiB", "as the state counts", state.used_bytes / _GIB, state.used_bytes / used),
        Row(
            f"scaled to 10 M keys, 100 M events, entities: {entities}",
            scaled,
            "GiB",
            target=f"<= {limit} GB",
            met=scaled <= limit,
        ),
        Row.figure("memory of a key with its first event", first / keys / entities, "bytes"),
        Row.figure("memory of each event more", (used - first) / keys / max(each - 1, 1) / entities, "bytes"),
        Row.figure("events let in", keys * each / sum(took), "events/s"),
    ]


def run(quick: bool) -> list[Row]:
    rows = _pauses(500_000 if quick else 5_000_000)
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 0.7 / _GIB
    for entities, needed in ((1, 10), (3, 22)):
        keys = 200_000 if quick else int(10_000_000 * min(1.0, free / needed))
        rows += _memory(keys, 10, entities)
    return rows


if __name__ == "__main__":
    main(run)
