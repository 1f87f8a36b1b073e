"""A backtest of a condition that nobody saved: over the last 30 days of 1 M recorded decisions, and over all of 10 M.

The files are of the archive's own form: 262,144 decisions each, 9 features, a score and three rules beside the event. One in a
hundred is labelled. Times are of the whole backtest: everything it asks, with examples.
"""

import shutil
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from _report import Row, best_of, main
from _workload import NINE, detector

from penstock import Label, Rule
from penstock.clock import to_us
from penstock.detector import Detector
from penstock.ledger import MemoryLedger
from penstock.ledger.archive import FILE_ROWS, Archive
from penstock.offline.backtest import backtest

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DAY_US = 86_400_000_000
RULES = [
    Rule("dear", "amount > 150", then="block"),
    Rule("often", "customer_count_1h >= 9", then="review"),
    Rule("spent", "customer_sum_amount_24h > 2000", then="review"),
]
CONDITIONS = {
    "two features": "amount > 100 AND customer_count_1h >= 4",
    "five features, a quotient, a text": "amount / customer_mean_amount_7d > 3 AND customer_count_24h > 5"
    " AND device_id LIKE 'D1%' OR hour(timestamp) < 5 AND customer_sum_amount_24h > 1500 AND amount > 120",
}


def declared():
    plain = detector(NINE, rules=RULES)
    return Detector(
        plain.name,
        event=Labelled,
        id="transaction_id",
        time="timestamp",
        features=plain.features,
        rules=RULES,
        label=Label("is_fraud", delay="7d"),
    )


class Labelled(detector().event):
    """A payment, and what became of it."""

    is_fraud: bool | None = None


def values(rng, n):
    """Features as they are: counts, sums and means of amounts with cents."""
    amount = np.round(rng.lognormal(3.2, 1.1, n), 2)
    frame = {"amount": amount}
    for feature in NINE:
        name = feature.name
        if "count" in name or "distinct" in name:
            column = rng.poisson(3, n).astype(float)
        elif "since" in name:
            column = np.where(rng.random(n) < 0.1, np.nan, rng.exponential(86_400, n).round())
        else:
            column = np.round(amount * rng.integers(1, 12, n) + rng.integers(0, 500, n) / 4, 2)
        frame[name] = pl.Series(column, nan_to_null=True)
    score = rng.beta(1, 30, n)
    rules = {
        "rule_dear": frame["amount"] > 150,
        "rule_often": frame["customer_count_1h"] >= 9,
        "rule_spent": frame["customer_sum_amount_24h"] > 2000,
    }
    decision = np.where(rules["rule_dear"], "BLOCK", np.where(rules["rule_often"] | rules["rule_spent"], "REVIEW", "APPROVE"))
    texts = {
        "customer_id": [f"C{k:06d}" for k in rng.integers(0, 100_000, n)],
        "device_id": [f"D{k}" for k in rng.integers(0, 100_000, n)],
        "merchant_id": [f"M{k}" for k in rng.integers(0, 5_000, n)],
    }
    return pl.DataFrame({**frame, **texts, **rules, "fraud_probability": score, "decision": decision})


def fill(folder, count, days):
    """Write so many decisions over so many days; returns the ledger that they were rolled from."""
    rng = np.random.default_rng(1)
    pool = [values(rng, FILE_ROWS) for _ in range(2 if count < 2_000_000 else 6)]
    start = to_us(FIRST)
    for at in range(0, count, FILE_ROWS):
        n = min(FILE_ROWS, count - at)
        seq = np.arange(at, at + n)
        time_us = start + (seq * (days * DAY_US / count)).astype(np.int64) + rng.integers(0, 2_000_000, n)
        times = pl.Series(time_us).cast(pl.Datetime("us", "UTC"))
        head = {
            "seq": seq,
            "detector": pl.Series(["benchmark"]).new_from_index(0, n),
            "transaction_id": [f"tx{i:09d}" for i in seq],
            "event_time": times,
            "arrived_at": times,
            "timestamp": times,
        }
        frame = pl.DataFrame(head).hstack(pool[(at // FILE_ROWS) % len(pool)].head(n))
        frame = frame.with_columns(versions_detector=pl.lit("v1"), latency_ms_total=pl.lit(0.5))
        write(frame, folder / f"decisions-{at:016d}-{at + n:016d}.parquet")
    labelled = rng.choice(count, count // 100, replace=False)
    labels = pl.DataFrame(
        {
            "seq": np.arange(count, count + len(labelled)),
            "detector": pl.Series(["benchmark"]).new_from_index(0, len(labelled)),
            "transaction_id": [f"tx{i:09d}" for i in labelled],
            "fraud": (rng.random(len(labelled)) < 0.8).astype(np.int64),
            "known_us": np.full(len(labelled), start),
            "rank": np.zeros(len(labelled), np.int64),
        }
    )
    stop = count + len(labelled)
    write(labels, folder / f"labels-{count:016d}-{stop:016d}.parquet")
    ledger = MemoryLedger()
    ledger.tables.put_setting("archive.rolled", (stop, stop))
    return ledger


def write(frame, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path, compression="zstd", compression_level=1, row_group_size=131_072)  # as the archive does


def measured(count, days, asked_days):
    """Seconds of the first answer, and of each condition once asked before."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-bench-"))
    try:
        ledger = fill(folder / "benchmark", count, days)
        now_us = to_us(FIRST + timedelta(days=days))
        tried, seconds = declared(), {}
        with Archive(ledger, folder) as archive:
            for name, when in CONDITIONS.items():
                began = time.perf_counter()
                found = backtest(archive, tried, when, now_us=now_us, days=asked_days)
                first = time.perf_counter() - began
                again = lambda when=when: backtest(archive, tried, when, now_us=now_us, days=asked_days)  # noqa: E731
                seconds[name] = (first, best_of(2, again), found)
        return seconds
    finally:
        shutil.rmtree(folder)


def run(quick):
    few = measured(1_000_000, 60, 30)
    count = 2_000_000 if quick else 10_000_000
    many = measured(count, 600, None)
    rows = []
    for name, (first, again, found) in few.items():
        about = f"{name}: {found.matched:,} of {found.read:,}"
        rows.append(Row.at_most(f"last 30 days of 1 M, first answer ({about})", first, "s", 1))
        rows.append(Row.figure(f"the same, asked again ({name})", again, "s"))
    for name, (first, _, found) in many.items():
        scaled = first * 10_000_000 / count
        about = f"{name}: {found.matched:,} of {found.read:,}" + (", scaled" if quick else "")
        rows.append(Row.at_most(f"all of 10 M, first answer ({about})", scaled, "s", 10))
    return rows


if __name__ == "__main__":
    main(run)
