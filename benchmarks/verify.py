"""Decisions computed again: one alone, as by `POST /verify/ID`, and a sample in one pass, as by `penstock verify --sample`.

One decision takes the events of its keys, which an index finds, or the whole log before it: both are measured, and the
rows say how long the log is. Decisions are chosen at random over it. `--quick` has 100,000 decisions; without it there are
10 million, or as many as the variable DECISIONS says.
"""

import os
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
from _report import Row, main, percentile
from _workload import RULES, detector, stream

from penstock import Engine
from penstock.engine import verify, verify_sample
from penstock.engine.keys.index import KeyIndex
from penstock.ledger import FileLedger

_PART = 100_000
_DAYS = 30
_GROUP = 1_000
"""Events that are decided together, and stand in one record of the log: a service has smaller ones, which are read faster."""


def _record(declared, folder: Path, count: int) -> float:
    """A log of so many decisions over 30 days; seconds that deciding took."""
    took, parts = 0.0, -(-count // _PART)
    with Engine(declared, data=folder, snapshot_every_s=1e9) as engine:
        for part in range(parts):
            sizes = {"customers": count // 20, "devices": count // 15, "merchants": 5_000}
            frame = stream(_PART, **sizes, days=_DAYS, seed=part).with_columns(
                transaction_id=f"{part}-" + pl.col("transaction_id"),
                timestamp=pl.col("timestamp").min()
                + (pl.col("timestamp") - pl.col("timestamp").min()) / parts
                + timedelta(days=_DAYS) / parts * part,
            )
            began = time.perf_counter()
            for group in frame.iter_slices(_GROUP):
                engine.decide_many(group)
            took += time.perf_counter() - began
    return took


def _alone(ledger, declared, ids: list[str], index: KeyIndex | None) -> tuple[list[float], float]:
    """Milliseconds of each verification, and the share that the events of the keys were enough for."""
    took_ms, by_keys = [], 0
    for each in ids:
        began = time.perf_counter()
        found = verify(ledger, declared, each, None, index=index)
        took_ms.append((time.perf_counter() - began) * 1e3)
        by_keys += found.way == "keys"
        assert found.identical
    return took_ms, by_keys / len(ids)


def run(quick: bool) -> list[Row]:
    count = 100_000 if quick else int(os.environ.get("DECISIONS", "10_000_000"))
    declared = detector(rules=RULES)
    with tempfile.TemporaryDirectory() as folder:
        decided_s = _record(declared, Path(folder), count)
        with FileLedger(Path(folder) / "ledger") as ledger:
            rng = np.random.default_rng(1)
            found = [ledger.record_of(seq) for seq in rng.integers(0, count, 200).tolist()]
            ids = [record.ids[row] for record, row in found]
            began = time.perf_counter()
            index = KeyIndex(ledger, declared)
            index.index()
            indexed_s = time.perf_counter() - began
            _alone(ledger, declared, ids[:3], index)
            took_ms, share = _alone(ledger, declared, ids, index)
            whole_ms, _ = _alone(ledger, declared, ids[: 8 if quick else 4], None)
            began = time.perf_counter()
            sample = verify_sample(ledger, declared, 1_000, None, seed=1)
            sample_s = time.perf_counter() - began
            kept = [(Path(folder) / "ledger" / name).rglob("*") for name in ("log", "keys")]
            log_bytes, key_bytes = (sum(path.stat().st_size for path in paths if path.is_file()) for paths in kept)
    assert not sample.differing
    assert not sample.unverifiable
    log = f"log of {count:,}, no snapshot used"
    return [
        Row.at_most(f"one decision verified, p95 ({log})", percentile(took_ms, 95), "ms", 200),
        Row.faster(
            f"decisions verified one after another, by the p50 ({log})",
            1e3 / percentile(took_ms, 50),
            "decisions/s",
            "after the whole log before it",
            1e3 / percentile(whole_ms, 50),
        ),
        Row.figure(f"one decision verified, p50 ({log})", percentile(took_ms, 50), "ms"),
        Row.figure(f"the same after the whole log before it, p50 ({log})", percentile(whole_ms, 50), "ms"),
        Row.figure(f"decisions that the events of their keys were enough for ({log})", 100 * share, "%"),
        Row.faster(
            f"1,000 decisions verified in one pass ({log})",
            len(sample.verified) / sample_s,
            "decisions/s",
            "one after another, by their keys",
            1e3 * len(took_ms) / sum(took_ms),
        ),
        Row.faster("the log replayed for a sample", count / sample_s, "events/s", "decided and recorded", count / decided_s),
        Row.faster("keys indexed", count / indexed_s, "events/s", "decided and recorded", count / decided_s),
        Row.figure("the key index, of the log's bytes", 100 * key_bytes / log_bytes, "%"),
    ]


if __name__ == "__main__":
    main(run)
