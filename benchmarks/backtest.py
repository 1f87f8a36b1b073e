"""A backtest by replay: 10 million recorded events, features recomputed, LR + 200-tree XGBoost, 10 rules, within a minute.

The events lie in Parquet files of half a million, and were decided in micro-batches of 256 by a live engine, whose ledger is on
disk. The replay reads the files and gives a frame with every feature, score and decision; what it gives is compared with the
ledger, row by row, to the last bit. Time is the replay's, files and frames included.

python benchmarks/backtest.py [--quick] [--json]          EVENTS=3000000 takes another number of events
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from _report import Row, main
from _workload import scoring_detector, stream, trained

from penstock import Detector, Engine
from penstock.ledger import FileLedger
from penstock.messages import Action, Record
from penstock.models import Ensemble
from penstock.offline.datasets import read
from penstock.offline.replay import Replay

ALL = 10_000_000
PART = 500_000
DAYS = 30
BATCH = 256
RECORDS = -(-PART // BATCH)  # of the ledger, to a file
NAMES = pl.Series([action.name for action in Action])


def run(quick: bool) -> list[Row]:
    """Make events, decide them live, replay them, compare."""
    n = int(os.environ.get("EVENTS", "300000" if quick else str(ALL)))
    declared = scoring_detector()
    ensemble = trained(declared, stream(40_000, seed=5))
    Replay(declared, ensemble).frame(read(stream(2000, seed=9), declared))  # compiles what has to be compiled
    with tempfile.TemporaryDirectory(prefix="penstock-") as name:
        folder = Path(name)
        files = [part(folder, number, min(PART, n - number * PART)) for number in range(-(-n // PART))]
        recording = decide(declared, ensemble, files, folder / "data")
        seconds, results = replayed(declared, ensemble, files)
        different = differences(declared, folder / "data", results)
    decided = sum(different.pop("rows"))
    if decided != n:
        raise SystemExit(f"{decided:,} of {n:,} events were recorded and replayed")
    scaled = seconds * ALL / n
    return [
        Row.at_most("backtest by replay of 10 M events" + ("" if n == ALL else f" (scaled from {n:,})"), scaled, "s", 60),
        Row.figure("events replayed", n / seconds, "events/s"),
        Row.figure("the same events decided live, durable, in batches of 256", n / recording, "events/s"),
        *(Row.at_most(f"{what} that differ, of {n:,} recorded", float(sum(d)), "rows", 0) for what, d in different.items()),
    ]


def part(folder: Path, number: int, rows: int) -> Path:
    """The file of one month, its ids and times behind those of the month before."""
    path = folder / f"events-{number:03d}.parquet"
    frame = stream(rows, days=DAYS, seed=number)
    ids = pl.format("{}-{}", pl.lit(f"{number:03d}"), "transaction_id")
    times = pl.col("timestamp").dt.offset_by(f"{number * DAYS}d")
    frame.with_columns(ids.alias("transaction_id"), times).write_parquet(path)
    return path


def decide(declared: Detector, ensemble: Ensemble, files: list[Path], data: Path) -> float:
    """Let a live engine decide all of it, as JSON; seconds that the engine took, until everything was durable."""
    now = [0]
    seconds = 0.0
    with Engine(declared, models=ensemble, data=data, clock=lambda: now[0]) as engine:
        for path in files:
            frame = pl.read_parquet(path)
            times = frame["timestamp"].to_physical().to_numpy()
            bodies = [msgspec.json.encode(row) for row in frame.iter_rows(named=True)]
            began = time.perf_counter()
            for start in range(0, len(bodies), BATCH):
                now[0] = int(times[min(start + BATCH, len(bodies)) - 1])  # they come when they happen
                engine.decide_json(bodies[start : start + BATCH])
            engine.ledger.flush()
            seconds += time.perf_counter() - began
            sys.stderr.write(f"decided {path.name}\n")
    return seconds


def replayed(declared: Detector, ensemble: Ensemble, files: list[Path]) -> tuple[float, list[Path]]:
    """Seconds of the replay, and the files of what it gave."""
    replay, seconds, results = Replay(declared, ensemble), 0.0, []
    for path in files:
        began = time.perf_counter()
        frame = replay.frame(read(path, declared))
        seconds += time.perf_counter() - began
        results.append(path.with_stem(path.stem.replace("events", "replayed")))
        frame.write_parquet(results[-1])
        sys.stderr.write(f"replayed {path.name}\n")
    return seconds, results


def differences(declared: Detector, data: Path, results: list[Path]) -> dict[str, list[int]]:
    """How many rows of each part differ between ledger and replay, by what differs; and how many rows there are."""
    found: dict[str, list[int]] = {"rows": [], "decisions": [], "scores": [], "features": []}
    with FileLedger(data / "ledger", read_only=True) as ledger:
        for recorded, path in zip(parts(declared, ledger), results, strict=True):
            replayed = pl.read_parquet(path)
            if recorded["transaction_id"].to_list() != replayed["transaction_id"].to_list():
                raise SystemExit(f"the ledger holds other events than {path.name}")
            found["rows"].append(len(replayed))
            found["decisions"].append(differing(recorded, replayed, ["decision"]))
            found["scores"].append(differing(recorded, replayed, ["score"]))
            found["features"].append(differing(recorded, replayed, list(declared.plan.features)))
    return found


def parts(declared: Detector, ledger: FileLedger) -> Iterator[pl.DataFrame]:
    """What the ledger holds, so many rows at a time as lie in a file."""
    held: list[Record] = []
    for _, record in ledger.read(0, ["decisions"]):
        held.append(record)
        if len(held) == RECORDS:
            yield as_frame(declared, held)
            held = []
    if held:
        yield as_frame(declared, held)


def as_frame(declared: Detector, records: list[Record]) -> pl.DataFrame:
    """Recorded decisions, as a replay shows them."""
    x = np.concatenate([record.columns["x"] for record in records])
    columns = {
        "transaction_id": [each for record in records for each in record.ids],
        "decision": NAMES.gather(np.concatenate([record.columns["action"] for record in records])),
        "score": np.concatenate([record.columns["scores"][:, 0] for record in records]),
    }
    return pl.DataFrame(columns | {name: x[:, declared.plan.layout[name].index] for name in declared.plan.features})


def differing(one: pl.DataFrame, other: pl.DataFrame, columns: list[str]) -> int:
    """Rows in which any of the columns differs, by as little as a bit; null and not a number are the same nothing."""
    return int(np.any([bits(one[name]) != bits(other[name]) for name in columns], axis=0).sum())


def bits(values: pl.Series) -> np.ndarray:
    """Numbers as the bits they are; texts as they are."""
    if values.dtype == pl.String:
        return values.to_numpy()
    return values.cast(pl.Float64).fill_nan(None).fill_null(float("inf")).to_numpy().view(np.int64)


if __name__ == "__main__":
    main(run)
