"""A backfill on Spark beside Spark's own SQL windows, in one session on two cores: the same features, written as Parquet.

Both run once over a tenth of the data first, so that neither is charged for the start of Java or Python. Afterwards the
backfill's rows are compared with those of the embedded replay, bit by bit.
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
from _handbook import DAYS, detector, transactions
from _report import Row, main

from penstock import replay
from penstock.adapters.spark.backfill import backfill
from penstock.adapters.spark.session import close_session, open_session
from penstock.adapters.spark.source import DetectorSource
from penstock.wiring.detectors import load_detector

QUICK_ROWS = 300_000
_DAY_S = 86_400


def window_sql() -> str:
    """The twelve features as Spark's SQL says them; windows are (t - W, t] in seconds, terminals' end 7 days earlier."""
    columns = []
    for days in DAYS:
        own = f"(PARTITION BY CUSTOMER_ID ORDER BY at RANGE BETWEEN {days * _DAY_S - 1} PRECEDING AND CURRENT ROW)"
        late = (
            f"(PARTITION BY TERMINAL_ID ORDER BY at RANGE BETWEEN {(7 + days) * _DAY_S - 1} PRECEDING"
            f" AND {7 * _DAY_S} PRECEDING)"
        )
        columns += [
            f"count(*) OVER {own} AS customer_count_{days}",
            f"avg(TX_AMOUNT) OVER {own} AS customer_mean_{days}",
            f"count(*) OVER {late} AS terminal_count_{days}",
            f"coalesce(sum(TX_FRAUD) OVER {late} / count(*) OVER {late}, 0.0) AS terminal_rate_{days}",
        ]
    timed = "SELECT *, unix_timestamp(CAST(TX_DATETIME AS timestamp)) AS at FROM transactions"
    return f"SELECT TRANSACTION_ID, TX_DATETIME, {', '.join(columns)} FROM ({timed})"


def run(quick: bool) -> list[Row]:
    events = transactions()
    if quick:
        events = events.head(QUICK_ROWS)
    folder = Path(tempfile.mkdtemp(prefix="penstock-benchmark-"))
    spark = open_session("local[2]")
    try:
        whole, tenth = folder / "events.parquet", folder / "tenth.parquet"
        events.write_parquet(whole)
        events.head(len(events) // 10).write_parquet(tenth)
        source = DetectorSource(str(Path(__file__).with_name("_handbook.py")), load_detector)

        def ours(file: Path, out: Path) -> None:
            backfill(spark, source, [file], out)

        def windows(file: Path, out: Path) -> None:
            spark.read.parquet(str(file)).createOrReplaceTempView("transactions")
            spark.sql(window_sql()).write.parquet(str(out))

        rounds = 1 if quick else 2
        theirs_s = _best(windows, tenth, whole, folder / "windows", rounds)
        ours_s = _best(ours, tenth, whole, folder / "ours", rounds)
        same = pl.read_parquet(folder / "ours" / "whole" / "*.parquet").equals(replay(detector, whole))
    finally:
        close_session(spark)
        shutil.rmtree(folder, ignore_errors=True)
    rows = len(events)
    return [
        Row.faster(
            f"spark backfill, {rows:,} events, 12 windows",
            rows / ours_s,
            "events/s",
            "Spark SQL windows",
            rows / theirs_s,
            target=1,
        ),
        Row.at_least("rows equal to the embedded replay, bit by bit", float(same), "of 1", 1),
    ]


def _best(work: Callable[[Path, Path], None], tenth: Path, whole: Path, out: Path, rounds: int) -> float:
    """Seconds of the quickest of some rounds, after one over a tenth."""
    out.mkdir()
    work(tenth, out / "tenth")
    seconds = []
    for _ in range(rounds):
        shutil.rmtree(out / "whole", ignore_errors=True)
        began = time.perf_counter()
        work(whole, out / "whole")
        seconds.append(time.perf_counter() - began)
    return min(seconds)


if __name__ == "__main__":
    main(run)
