"""Backfill: years of recorded events through a detector on Spark, equal to the replay bit for bit.

    files -> slices in sequence order -> blocks by entity and bucket -> kernel -> back by slice -> rules and models -> rows

One shuffle brings every bucket its events, for all entities at once, since no aggregate reads another; a second one joins
the computed features to the events.
"""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from penstock.adapters.spark.blocks import BLOCK_TYPE, routes, shuffled
from penstock.adapters.spark.buckets import Running
from penstock.adapters.spark.clock import SliceClocks, entries, repeated_rows
from penstock.adapters.spark.collect import BASE, Collect, result_schema
from penstock.adapters.spark.files import splits_of
from penstock.adapters.spark.scan import ROWS, Opening, Slices, slices_of
from penstock.adapters.spark.shuffle import Shuffle
from penstock.adapters.spark.source import DetectorSource, check_links
from penstock.errors import ConfigurationError, DataError, RowsRefused
from penstock.offline.datasets import MOST_REFUSED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

BUCKETS = 16


@dataclass(frozen=True)
class Backfilled:
    """Counts of a backfill: events decided, rows refused, events with repeated ids."""

    events: int
    refused: int
    duplicates: int


def backfill(
    spark: "SparkSession",
    source: DetectorSource,
    files: Sequence[Path],
    out: Path,
    *,
    buckets: int = BUCKETS,
    slice_rows: int = ROWS,
    max_refused: float = MOST_REFUSED,
) -> Backfilled:
    """Decide recorded events, and write one row for each, in arrival order: what `replay` returns.

    Args:
        spark: see `session.open_session`.
        source: the detector, and the models that score.
        files: .parquet, .csv, or folders of .parquet. All machines have to see them under these paths.
        out: a folder, into which Spark writes Parquet files in order; or one file: .parquet, .csv or .ndjson.
        buckets: into how many buckets the keys of an entity are divided; a bucket's keys have to fit into a worker's memory.
        slice_rows: how many events travel together.
        max_refused: the share of rows that may be refused because they are no events.

    Raises:
        DataError: the data does not fit the detector, or cannot be worked through in parts.
        ConfigurationError: `out` is there already, or the detector has linked features.
    """
    _check_out(out)
    check_links(source.detector)
    work = Path(tempfile.mkdtemp(prefix="penstock-backfill-"))
    try:
        places = routes(spark, 2 * spark.sparkContext.defaultParallelism)
        slices = slices_of(spark, source, splits_of(files, work, slice_rows), places, slice_rows)
        _check_refused(slices, max_refused)
        repeated = repeated_rows(source, slices, places)
        frame = decided(source, slices, repeated, buckets, places)
        _write(frame, out, work / "rows")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    duplicates = sum(map(len, repeated.values()))
    return Backfilled(sum(fact["rows"] for fact in slices.facts) - duplicates, slices.refused, duplicates)


def decided(
    source: DetectorSource, slices: Slices, repeated: dict[int, list[int]], buckets: int, places: Sequence[int]
) -> "DataFrame":
    """The rows of a replay, in order from part to part."""
    from pyspark.sql.pandas.types import from_arrow_schema

    opening = Opening(source, repeated)
    entered = entries(source, slices, repeated)
    _check_labels(source, entered)
    numbered = 1 + max((fact["slice"] for fact in slices.facts), default=0)
    spread = slices.frame.mapInArrow(Shuffle(opening, entered, buckets, tuple(places)), BLOCK_TYPE)
    ran = shuffled(spread, len(places), ["group", "slice"]).mapInArrow(
        Running(opening, buckets, numbered, tuple(places)), BLOCK_TYPE
    )
    base = slices.frame.selectExpr(f"{BASE} as group", "slice", _place_sql(places, numbered), "data")
    gathered = shuffled(base.unionByName(ran), len(places), ["slice", "group"])
    schema = from_arrow_schema(result_schema(source.detector, source.ensemble))
    return gathered.mapInArrow(Collect(opening, buckets), schema)


def _check_refused(slices: Slices, most: float) -> None:
    rows = sum(fact["rows"] for fact in slices.facts) + slices.refused
    if slices.refused > most * rows:
        raise RowsRefused(
            f"{slices.refused:,} of {rows:,} rows are no events and were refused; at most {most:.4g} of all rows may be: repair"
            " the data (`penstock replay` on a part of it names columns and causes), or allow a larger share: --max-refused"
        )


def _place_sql(places: Sequence[int], slices: int) -> str:
    """`scan.place_of` and its route, as SQL for Spark."""
    nth = f"least(cast(slice as bigint) * {len(places)} div {slices}, {len(places) - 1})"
    return f"element_at(array({', '.join(map(str, places))}), cast({nth} as int) + 1) as place"


def _check_labels(source: DetectorSource, entered: dict[int, SliceClocks]) -> None:
    """Labels counted by the time they became known move the pace clock of all keys where it lags behind."""
    detector = source.detector
    kind = len(detector.schema.kinds)
    if any(plan.known_kinds >> kind & 1 for plan in detector.plan.entities) and any(entry.lags for entry in entered.values()):
        raise DataError(
            f"detector {detector.name!r} counts labels by the time they became known, and the events leave more than a day "
            "without any; what is forgotten then follows from all labels together, which no bucket sees: use penstock replay"
        )


def _check_out(out: Path) -> None:
    if out.exists():
        raise ConfigurationError(f"{out} is there already; a backfill overwrites nothing")
    if out.suffix and out.suffix not in _WRITERS:
        raise ConfigurationError(f"{out}: cannot write {out.suffix}; name a folder, or a file: .parquet, .csv or .ndjson")
    if not out.absolute().parent.is_dir():
        raise ConfigurationError(f"{out}: there is no folder {out.parent}; make it first")


def _write(frame: "DataFrame", out: Path, rows: Path) -> None:
    if not out.suffix:
        frame.write.parquet(str(out))
        return
    frame.write.parquet(str(rows))
    getattr(pl.scan_parquet(rows / "*.parquet"), _WRITERS[out.suffix])(out)


_WRITERS = {".parquet": "sink_parquet", ".csv": "sink_csv", ".ndjson": "sink_ndjson"}
