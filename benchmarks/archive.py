"""The archive: decisions into Parquet files of an S3 server, and SQL over them, beside one JSON object for each decision.

Decisions as in `postgres.py`. The server is on this machine too; without one the archive is a folder.
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np
from _report import Row, best_of, main
from postgres import BATCH, LAYOUT, WRITE, records

sys.path.insert(0, str(Path(__file__).parents[1]))  # where the servers for tests are

from deploy.infra import S3
from penstock.adapters.s3 import ArchiveSink, ObjectArchive
from penstock.ledger import MemoryLedger

QUERY = "SELECT decision, count(*), avg(amount) FROM decisions WHERE amount > 60 AND feature_3 >= 9 GROUP BY 1"


def rates(url, count, **options):
    """Decisions a second into the archive, and microseconds of processor time of each in this process."""
    ledger = MemoryLedger()
    ledger.register_layout("bench", LAYOUT)
    sink = ArchiveSink(url, "banking", ledger, every_s=3600, **options)
    sink.begin(1)
    rng = np.random.default_rng(1)
    position, seconds, spent = 0, 0.0, 0.0
    for part in range(count):
        numbered = list(enumerate(records(rng, WRITE, first_seq=position * BATCH), position))
        before = time.perf_counter(), time.process_time()
        sink.write(numbered)
        if part == count - 1:
            sink.close()  # writes what waits
        seconds, spent = seconds + time.perf_counter() - before[0], spent + time.process_time() - before[1]
        position += WRITE
    rows = position * BATCH
    return rows / seconds, 1e6 * spent / rows


def as_json(record, rows):
    """What a decision's own object holds: names and values."""
    x = record.columns["x"]
    names = [field.name for field in LAYOUT["x"]]
    return [
        msgspec.json.encode({"transaction_id": record.ids[row], "features": dict(zip(names, x[row].tolist(), strict=True))})
        for row in rows
    ]


def run(quick):
    lack = S3.missing()
    if lack:
        folder = tempfile.mkdtemp(prefix="penstock-bench-")
        try:
            return measure(f"{folder}/files", f"{folder}/objects", quick, f"a folder ({lack})")
        finally:
            shutil.rmtree(folder)
    with S3() as server:
        os.environ.update(server.environment)
        return measure(server.create("files"), server.create("objects"), quick, "S3")


def measure(files, objects, quick, where):
    rate, spent_us = rates(files, 40 if quick else 250)
    one_each, _ = rates(objects, 1 if quick else 4, render=as_json)
    with ObjectArchive(files) as archive:
        rows = archive.query("SELECT count(*) AS n FROM decisions")["n"][0]
        asked = best_of(3, lambda: archive.query(QUERY))
    with ObjectArchive(files) as archive:
        fetched = best_of(1, lambda: archive.query(QUERY))
    return [
        Row.faster(f"decisions into {where}", rate, "decisions/s", "with one JSON object each, too", one_each),
        Row.figure("the same, processor time here", spent_us, "us a decision"),
        Row.figure(f"ad-hoc condition over {rows / 1e6:.2f} M decisions, fetched first", fetched, "s"),
        Row.figure("the same, fetched before", asked, "s"),
    ]


if __name__ == "__main__":
    main(run)
