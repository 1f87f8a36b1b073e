"""The ledger in PostgreSQL: decisions written beside a worker, beside a consumer that inserts and commits each of them.

A decision has 30 features, an amount, 3 scores, an id, a customer and a merchant. Both sides commit durably to the same
server, which runs on this machine too. The consumer's row is what one would write by hand: ids, times, verdict, and the
features as jsonb.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psycopg
from _report import Row, main, percentile

sys.path.insert(0, str(Path(__file__).parents[1]))  # where the servers for tests are

from deploy.infra import Postgres
from penstock.adapters.postgres import PostgresLedger, PostgresSink, create
from penstock.codes import text_codes
from penstock.ledger import ArchiveField, MemoryLedger
from penstock.messages import Record

BATCH = 512
WRITE = 8  # batches of one write: what a worker gives its stores at once
BEGIN_US = 1_767_225_600_000_000
FEATURES = [f"feature_{k}" for k in range(30)]
MEMBERS = ["logistic_regression", "xgboost"]
LAYOUT = {
    "x": [ArchiveField(name) for name in ["amount", *FEATURES]],
    "scores": [ArchiveField("fraud_probability"), *(ArchiveField(f"score_{name}") for name in MEMBERS)],
    "action": [ArchiveField("decision", "text", ("APPROVE", "CHALLENGE", "REVIEW", "BLOCK"))],
    "text:customer_id": [ArchiveField("customer_id", "text")],
    "text:merchant_id": [ArchiveField("merchant_id", "text")],
}
TICK = os.sysconf("SC_CLK_TCK")


def records(rng, count, rows=BATCH, first_seq=0):
    """Records with values of their own."""
    made = []
    for k in range(count):
        seq = first_seq + k * rows
        ids = [f"tx-{seq + row:09d}-{salt:08x}" for row, salt in enumerate(rng.integers(0, 2**32, rows).tolist())]
        at = BEGIN_US + np.arange(seq, seq + rows) * 500
        x = rng.lognormal(3.0, 1.0, (rows, 31))
        x[:, 3:12] = np.floor(x[:, 3:12])
        x[:, 12:15][rng.random((rows, 3)) < 0.1] = np.nan
        columns = {
            "x": x,
            "scores": rng.beta(1, 30, (rows, 3)),
            "action": rng.choice(4, rows, p=[0.97, 0.01, 0.01, 0.01]).astype(np.uint8),
            "by": np.zeros(rows, np.int16),
            "text:customer_id": [f"C{n:06d}" for n in rng.integers(0, 100_000, rows)],
            "text:merchant_id": [f"M{n}" for n in rng.integers(0, 5_000, rows)],
        }
        meta = {"layout": "bench", "decided_us": int(at[-1]), "versions": {"detector": "d", "model": "m", "rules": "r"}}
        made.append(Record("decisions", "banking", seq, ids, text_codes(ids), at, at, columns, meta))
    return made


def one_by_one(url, some):
    """Decisions a second of a consumer that inserts and commits each."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(
            "CREATE TABLE by_hand (transaction_id text PRIMARY KEY, event_time timestamptz, decided_at timestamptz,"
            " decision text, fraud_probability float8, amount float8, customer_id text, merchant_id text, features jsonb)"
        )
        rows = [row for record in some for row in by_hand(record)]
        start = time.perf_counter()
        for row in rows:
            db.execute(
                "INSERT INTO by_hand VALUES (%s, to_timestamp(%s), to_timestamp(%s), %s, %s, %s, %s, %s, %s)", row, prepare=True
            )
        return len(rows) / (time.perf_counter() - start)


def by_hand(record):
    c = record.columns
    for row, transaction_id in enumerate(record.ids):
        at = record.time_us[row] / 1e6
        values = c["x"][row]
        features = json.dumps({name: None if np.isnan(v) else v for name, v in zip(FEATURES, values[1:].tolist(), strict=True)})
        texts = c["text:customer_id"][row], c["text:merchant_id"][row]
        yield transaction_id, at, at, str(c["action"][row]), float(c["scores"][row, 0]), float(values[0]), *texts, features


def sink_rates(url, count):
    """Decisions a second into the database, and microseconds of each in this process and in the server's."""
    ledger = MemoryLedger()
    ledger.register_layout("bench", LAYOUT)
    sink = PostgresSink(url, "banking", ledger, amounts={"banking": "amount"})
    sink.begin(1)
    rng = np.random.default_rng(1)
    position, seconds, client, server = 0, 0.0, 0.0, 0.0
    for part in range(count + 1):
        made = records(rng, WRITE, first_seq=position * BATCH)
        numbered = list(enumerate(made, position))
        backend = sink._store._db.info.backend_pid
        before = time.perf_counter(), time.process_time(), spent(backend)
        sink.write(numbered)
        after = time.perf_counter(), time.process_time(), spent(backend)
        position += WRITE
        if part:  # the first one makes partitions and views
            seconds, client, server = (
                total + b - a for total, a, b in zip((seconds, client, server), before, after, strict=True)
            )
    sink.close()
    rows = count * WRITE * BATCH
    return rows / seconds, 1e6 * client / rows, 1e6 * server / rows


def spent(pid):
    """Seconds of processor time of a process of this machine."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def found_ms(url, count):
    """Milliseconds of look-ups by id."""
    times = []
    with PostgresLedger(url, log="banking", read_only=True) as ledger, psycopg.connect(url) as db:
        ids = [id_ for (id_,) in db.execute("SELECT transaction_id FROM penstock.events ORDER BY code LIMIT %s", (count,))]
        for transaction_id in ids:
            start = time.perf_counter_ns()
            record, row = ledger.find("banking", transaction_id)
            times.append((time.perf_counter_ns() - start) / 1e6)
            if record.ids[row] != transaction_id:
                raise AssertionError(f"{transaction_id} was not found")
    return times


def asked(url, query):
    """Seconds of a query, the best of three, and what it found."""
    with psycopg.connect(url, autocommit=True) as db:
        best = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            rows = db.execute(query).fetchall()
            best = min(best, time.perf_counter() - start)
        return best, rows


def commit_ms(url, rows, repeats):
    """Milliseconds from `append` to `done` when one batch at a time is on its way."""
    times = []
    rng = np.random.default_rng(2)
    with PostgresLedger(url, log=f"commit-{rows}") as ledger:
        ledger.register_layout("bench", LAYOUT)
        for _ in range(repeats):
            [record] = records(rng, 1, rows, ledger.next_seq)
            durable = threading.Event()
            start = time.perf_counter_ns()
            ledger.append(record, lambda error, durable=durable: durable.set())
            durable.wait()
            times.append((time.perf_counter_ns() - start) / 1e6)
    return times


QUERY = "SELECT decision, count(*), avg(amount) FROM penstock.decisions_banking WHERE amount > 60 AND feature_3 >= 9 GROUP BY 1"
SIZE = """
    SELECT sum(pg_total_relation_size(c.oid))::float8, (SELECT count(*) FROM penstock.events) FROM pg_class c
    WHERE relnamespace = 'penstock'::regnamespace AND relkind = 'r' AND relname ~ '^(frames|events)_'
"""


def run(quick):
    lack = Postgres.missing()
    if lack:
        return [Row.absent("decisions into PostgreSQL", "decisions/s", lack)]
    with Postgres() as server:
        url = server.create("bench")
        create(url)
        return measure(url, quick)


def measure(url, quick):
    baseline = one_by_one(url, records(np.random.default_rng(0), 4 if quick else 20))
    rate, client_us, server_us = sink_rates(url, 30 if quick else 250)
    size, rows = asked(url, SIZE)[1][0]
    lookups = found_ms(url, 300 if quick else 2000)
    seconds, _ = asked(url, QUERY)
    measured = [
        Row.faster("decisions into PostgreSQL", rate, "decisions/s", "inserted and committed one by one", baseline, target=10),
        Row.at_most("the same, processor time here", client_us, "us a decision", 12),
        Row.figure("the same, processor time of the server", server_us, "us a decision"),
        Row.figure("tables and indexes", size / rows, "bytes a decision"),
        Row.figure("look-up by id, p50", percentile(lookups, 50), "ms"),
        Row.figure("look-up by id, p99", percentile(lookups, 99), "ms"),
        Row.figure(f"ad-hoc condition over {rows / 1e6:.2f} M decisions, SQL", seconds, "s"),
    ]
    for n in (1, 64, 512):
        times = commit_ms(url, n, 60 if quick else 500)
        measured.append(Row.figure(f"append to durable, {n} at a time, p50", percentile(times, 50), "ms"))
    return measured


if __name__ == "__main__":
    main(run)
