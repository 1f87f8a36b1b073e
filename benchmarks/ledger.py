"""The ledger: decisions made durable in batches of 512, found by id, and queried, beside SQLite with a row each.

A decision has 20 features, 4 scores, an id, a customer, a merchant and a verdict. Both sides make every batch durable
(WAL with synchronous=FULL; fdatasync) and know every id. SQLite gets fewer rows, which favours it: its index of random
ids slows down as it grows.
"""

import json
import shutil
import sqlite3
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from _report import Row, best_of, main, percentile

from penstock.codes import text_codes
from penstock.ledger import ArchiveField, FileLedger
from penstock.ledger.archive import Archive
from penstock.messages import Record

BATCH = 512
CHUNK = 256
DEDUPE_US = 30 * 86_400_000_000
FEATURES = [f"feature_{k}" for k in range(20)]
SCORES = ["amount", "score", "logistic_regression", "xgboost"]
VERDICTS = ("APPROVE", "CHALLENGE", "REVIEW", "BLOCK")
LAYOUT = {
    "x": [ArchiveField(name) for name in [*FEATURES, *SCORES]],
    "action": [ArchiveField("decision", "text", VERDICTS)],
}


def values(rng, n):
    """Features as they are: counts, sums and means of amounts with cents, ratios, flags."""
    x = np.empty((n, 24))
    amount = np.round(rng.lognormal(3.2, 1.1, n), 2)
    for k in range(6):
        x[:, k] = rng.poisson(1 + 2 * k, n)
    for k in range(6, 11):
        x[:, k] = np.round(amount * rng.integers(1, 4, n) + rng.integers(0, 500, n) / 4, 2)
    for k in range(11, 16):
        x[:, k] = x[:, k - 5] / (1 + x[:, k - 10])
    x[:, 16:18] = rng.integers(0, 2, (n, 2))
    x[:, 18] = rng.integers(0, 24, n)
    x[:, 19] = np.where(rng.random(n) < 0.1, np.nan, rng.exponential(86_400, n).round())
    x[:, 20] = amount
    x[:, 21:] = rng.beta(1, 30, (n, 3))
    return x


def pool(rng, batches):
    """Distinct batches without ids; the run goes round them."""
    made = []
    for _ in range(batches):
        texts = {
            "customer_id": [f"C{k:06d}" for k in rng.integers(0, 100_000, BATCH)],
            "merchant_id": [f"M{k}" for k in rng.integers(0, 5_000, BATCH)],
        }
        made.append(
            {"x": values(rng, BATCH), "action": rng.choice(4, BATCH, p=[0.97, 0.01, 0.01, 0.01]).astype(np.uint8), **texts}
        )
    return made


def chunks(rng, decisions, columns):
    """Records in chunks, made outside of what is timed: 131,072 decisions at a time with ids of their own."""
    seq = 0
    while seq < decisions:
        chunk = []
        for k in range(CHUNK):
            ids = [f"tx-{seq + row:09d}-{salt:08x}" for row, salt in enumerate(rng.integers(0, 2**32, BATCH).tolist())]
            at = 1_767_225_600_000_000 + np.arange(seq, seq + BATCH) * 500
            arrived = np.full(BATCH, at[-1])
            chunk.append(
                Record(
                    "decisions",
                    "banking",
                    seq,
                    ids,
                    text_codes(ids),
                    at,
                    arrived,
                    columns[k % len(columns)],
                    {"layout": "bench"},
                )
            )
            seq += BATCH
        yield chunk


def write(ledger, decisions, columns):
    """Seconds per chunk, and a sample of ids."""
    rng = np.random.default_rng(1)
    claims = ledger.claims("banking", DEDUPE_US)
    seconds, sample = [], []
    for chunk in chunks(rng, decisions, columns):
        start = time.perf_counter()
        for record in chunk:
            if (claims.claim(record.codes, record.arrived_us, record.first_seq) >= 0).any():
                raise AssertionError("an id came twice")
            ledger.append(record)
        ledger.flush()
        seconds.append(time.perf_counter() - start)
        sample += [record.ids[int(rng.integers(BATCH))] for record in chunk[:: CHUNK // 4]]
    return seconds, sample


def sqlite_rate(folder, decisions, columns):
    """Decisions a second with a row each: id, sequence number, time, verdict, and the whole as JSON."""
    db = sqlite3.connect(folder / "rows.sqlite", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE decisions (id TEXT PRIMARY KEY, seq INTEGER, at INTEGER, decision TEXT, body TEXT)")
    seconds, written = 0.0, 0
    for chunk in chunks(np.random.default_rng(2), decisions, columns):
        rows = [as_rows(record) for record in chunk[: (decisions - written) // BATCH]]
        start = time.perf_counter()
        for batch in rows:
            db.execute("BEGIN")
            db.executemany("INSERT INTO decisions VALUES (?, ?, ?, ?, ?)", batch)
            db.execute("COMMIT")
        seconds += time.perf_counter() - start
        written += BATCH * len(rows)
    db.close()
    return written / seconds


def as_rows(record):
    names = [*FEATURES, *SCORES]
    verdicts = [VERDICTS[action] for action in record.columns["action"]]
    bodies = [
        {"transaction_id": i, "customer_id": c, "merchant_id": m, "decision": v, "features": dict(zip(names, x, strict=True))}
        for i, c, m, v, x in zip(
            record.ids,
            record.columns["customer_id"],
            record.columns["merchant_id"],
            verdicts,
            record.columns["x"].tolist(),
            strict=True,
        )
    ]
    seqs = range(record.first_seq, record.first_seq + BATCH)
    return [
        (b["transaction_id"], s, at, v, json.dumps(b))
        for b, s, at, v in zip(bodies, seqs, record.time_us.tolist(), verdicts, strict=True)
    ]


def found_ms(ledger, sample):
    """Milliseconds of each look-up."""
    times = []
    for transaction_id in sample:
        start = time.perf_counter_ns()
        record, row = ledger.find("banking", transaction_id)
        times.append((time.perf_counter_ns() - start) / 1e6)
        if record.ids[row] != transaction_id:
            raise AssertionError(f"{transaction_id} was not found")
    return times


def commit_ms(folder, rows, columns, repeats):
    """Milliseconds from `append` to `done` when one batch at a time is on its way."""
    times = []
    with FileLedger(folder / f"commit-{rows}") as ledger:
        for k in range(repeats):
            first = ledger.next_seq
            ids = [f"t{first + i}" for i in range(rows)]
            at = np.full(rows, 10**15)
            part = {name: column[:rows] for name, column in columns[k % len(columns)].items()}
            record = Record("decisions", "banking", first, ids, text_codes(ids), at, at, part, {"layout": "bench"})
            durable = threading.Event()
            start = time.perf_counter_ns()
            ledger.append(record, lambda error, durable=durable: durable.set())
            durable.wait()
            times.append((time.perf_counter_ns() - start) / 1e6)
    return times


QUERY = """
    SELECT decision, count(*) AS n, avg(amount) AS amount FROM decisions
    WHERE amount > 60 AND feature_3 >= 9 AND feature_18 < 6 AND xgboost > 0.05 GROUP BY decision
"""


def run(quick):
    decisions = 1_000_000 if quick else 10_000_000
    folder = Path(tempfile.mkdtemp(prefix="penstock-bench-"))
    try:
        return measure(folder, decisions, quick)
    finally:
        shutil.rmtree(folder)


def measure(folder, decisions, quick):
    columns = pool(np.random.default_rng(0), 256)
    baseline = sqlite_rate(folder, 50_000 if quick else 500_000, columns)
    with FileLedger(folder / "ledger") as ledger:
        ledger.register_layout("bench", LAYOUT)
        seconds, sample = write(ledger, decisions, columns)
        written, size = ledger.next_seq, ledger.size_bytes
        tenth = max(1, len(seconds) // 10)
        slowdown = float(np.median(seconds[-tenth:]) / np.median(seconds[:tenth]))
    opening = best_of(1, lambda: reopened(folder))
    with FileLedger(folder / "ledger") as ledger, Archive(ledger, folder / "archive") as archive:
        lookups = found_ms(ledger, sample * (30 if quick else 6))
        rolling = best_of(1, lambda: archive.roll(everything=True))
        asked = best_of(3, lambda: archive.query(QUERY))
        parquet = sum(path.stat().st_size for path in (folder / "archive").rglob("*.parquet"))
    name = f"{written / 1e6:.0f} M decisions"
    rows = [
        Row.faster(
            f"{name}, durable, batches of 512", written / sum(seconds), "decisions/s", "SQLite, a row each", baseline, target=5
        ),
        Row.figure("the same, time of the last tenth over the first", slowdown, "times"),
        Row.at_most("look-up by id, p50", percentile(lookups, 50), "ms", 1),
        Row.at_most("look-up by id, p99", percentile(lookups, 99), "ms", 1),
        Row.at_most("ad-hoc condition over all, SQL", asked, "s", 1),
        Row.figure("rolled into Parquet", written / rolling, "decisions/s"),
        Row.figure("opened again, ids claimed", opening, "s"),
        Row.figure("log", size / written, "bytes a decision"),
        Row.figure("Parquet", parquet / written, "bytes a decision"),
    ]
    for n in (1, 64, 512):
        times = commit_ms(folder, n, columns, 100 if quick else 500)
        rows.append(Row.figure(f"append to durable, {n} at a time, p50", percentile(times, 50), "ms"))
        rows.append(Row.figure(f"append to durable, {n} at a time, p99", percentile(times, 99), "ms"))
    return rows


def reopened(folder):
    with FileLedger(folder / "ledger") as ledger:
        ledger.claims("banking", DEDUPE_US)


if __name__ == "__main__":
    main(run)
