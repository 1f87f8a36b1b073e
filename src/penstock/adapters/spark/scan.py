"""Reading of files into slices: checked stretches of the sequence, in the order in which their events arrived.

Files already in that order are cut in place. Others are cut by time and merged by Spark, a slice at a time. In both cases
the slices together hold the rows that `penstock.offline.datasets.read` would return.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from penstock.adapters.spark.blocks import BLOCK_TYPE, block, pack_frame, row, rows_of, shuffled, unpack_frame
from penstock.adapters.spark.files import TOGETHER, FileSplit
from penstock.adapters.spark.source import DetectorSource
from penstock.errors import DataError
from penstock.messages import Batch
from penstock.offline.datasets import ROW, read, readings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROWS = 65_536
"""Events of a slice: enough to spread the costs of a block over its buckets, few enough for a worker's memory."""
FILE = "file"
"""The column that says which file a row came from, by number."""
_SAMPLES = 128
"""Times that a slice gives as its sample: the finer, the more alike are slices that have to be cut anew."""
_META = pa.schema(
    [
        ("slice", pa.int32()),
        ("rows", pa.int64()),
        ("refused", pa.int64()),
        ("first_us", pa.int64()),
        ("last_us", pa.int64()),
        ("gap_us", pa.int64()),
        ("first_id", pa.string()),
        ("last_id", pa.string()),
        ("rising", pa.bool_()),
        ("sample", pa.list_(pa.int64())),
        ("readings", pa.list_(pa.string())),
    ]
)
SLICE = _META.append(pa.field("data", pa.binary()))
"""A slice and what the driver has to know of it; see `describe`."""


@dataclass(frozen=True)
class Slices:
    """The whole sequence of slices.

    frame: rows of `SLICE`, kept by Spark. facts: the same rows without their data, in order. timed: whether the data says
    when each event arrived. refused: rows that are no events.
    """

    frame: "DataFrame"
    facts: list[dict[str, Any]]
    timed: bool
    refused: int


# ---------------------------------------------------------------- slices


def slices_of(
    spark: "SparkSession", source: DetectorSource, splits: Sequence[FileSplit], places: Sequence[int], size: int = ROWS
) -> Slices:
    """Read and order the files; places: the routes of a shuffle.

    Raises:
        DataError: the data does not fit the detector, or parts of it would be read differently.
    """
    numbered = spark.range(0, len(splits), 1, len(splits))
    frame, facts = _kept(numbered.mapInArrow(SliceScan(source, tuple(splits), size), _spark_schema(SLICE)))
    _check_readings(splits, facts)
    timed = any("arrived_at" in text.split() for fact in facts for text in fact["readings"])
    refused = sum(fact["refused"] for fact in facts)
    facts = [fact for fact in facts if fact["rows"]]
    if not _in_order(facts):
        bounds = _bounds(facts, size)
        cut = frame.mapInArrow(Cutting(source, bounds, tuple(places)), BLOCK_TYPE)
        ordered = shuffled(cut, len(places), ["slice", "group"])
        frame, facts = _kept(ordered.mapInArrow(Merging(source), _spark_schema(SLICE)))
    return Slices(frame, facts, timed, refused)


def _kept(frame: "DataFrame") -> tuple["DataFrame", list[dict[str, Any]]]:
    """Compute once and cache in Spark; the driver collects the facts of each slice."""
    kept = frame.localCheckpoint()
    facts = [found.asDict() for found in kept.drop("data").collect()]
    return kept, sorted(facts, key=lambda fact: int(fact["slice"]))


def _spark_schema(schema: pa.Schema) -> Any:
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


def _check_readings(splits: Sequence[FileSplit], facts: list[dict[str, Any]]) -> None:
    """Check that each column was read alike in all parts: the content of one part must not decide the type."""
    seen: dict[str, tuple[str, str]] = {}
    for fact in facts:
        name = splits[fact["slice"] // TOGETHER].name
        for text in fact["readings"]:
            column, _, reading = text.partition(": ")
            before, where = seen.setdefault(column, (reading, name))
            if before != reading:
                raise DataError(
                    f"{column} reads as {before} in {where} and as {reading} in {name} (or in another part of it); "
                    "write the files alike, with one type for each column"
                )


def _in_order(facts: list[dict[str, Any]]) -> bool:
    return all(left["last_us"] <= right["first_us"] for left, right in pairwise(facts))


def _bounds(facts: list[dict[str, Any]], size: int) -> tuple[int, ...]:
    """Times that cut the whole into slices of about `size` events."""
    times = np.concatenate([np.array(fact["sample"], np.int64) for fact in facts])
    weights = np.concatenate([np.full(len(fact["sample"]), fact["rows"] / len(fact["sample"])) for fact in facts])
    order = np.argsort(times)
    before = np.cumsum(weights[order])
    at = np.searchsorted(before, np.arange(size, before[-1], size))
    return tuple(np.unique(times[order][at]).tolist())


class SliceScan:
    """Splits by number -> slices, each sorted in itself."""

    def __init__(self, source: DetectorSource, splits: tuple[FileSplit, ...], size: int) -> None:
        self.source, self.splits, self.size = source, splits, size

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Process one partition, as called by Spark."""
        for cell in rows_of(batches):
            split = self.splits[cell["id"]]
            raw = pl.scan_parquet(split.path).slice(split.first, split.rows).collect()
            recorded = read(raw, self.source.detector, name=split.name, first=split.first)
            texts = [f"{column}: {reading}" for column, reading in readings(raw, self.source.detector).items()]
            texts.append(f"its columns: {' '.join(recorded.frame.columns)}")
            typed = recorded.frame.with_columns(pl.lit(split.file, pl.Int32).alias(FILE))
            frame, unfit = accepted(self.source, typed)
            for nth in range(TOGETHER):
                part = frame.slice(nth * self.size, self.size)
                refused = len(recorded.refused) + unfit if nth == 0 else 0
                yield describe(self.source, cell["id"] * TOGETHER + nth, part, refused, texts)


def accepted(source: DetectorSource, frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """The rows that are events, and how many are not."""
    kept, start, refused = [], 0, 0
    for found in source.reader().read_frames(frame, ROWS, arrived=_arrived(frame)):
        part = frame.slice(start, len(found.batch) + len(found.refused))
        kept.append(part[found.rows] if found.refused else part)
        start, refused = start + len(part), refused + len(found.refused)
    return (pl.concat(kept) if refused else frame), refused


def describe(source: DetectorSource, number: int, frame: pl.DataFrame, refused: int, readings: list[str]) -> pa.RecordBatch:
    """A slice as a row of `SLICE`."""
    values: dict[str, Any] = dict.fromkeys(SLICE.names, None)
    values |= {"slice": number, "rows": len(frame), "refused": refused, "readings": readings, "data": pack_frame(frame)}
    if len(frame):
        order, ids = _order_us(source, frame), frame[source.detector.id]
        values |= {
            "first_us": int(order[0]),
            "last_us": int(order[-1]),
            "sample": np.sort(order)[:: -(-len(order) // _SAMPLES)],
        }
        values |= {"gap_us": int(np.diff(order).max(initial=0)), "first_id": ids[0], "last_id": ids[-1], "rising": _rises(ids)}
    return row(SLICE, **values)


def _rises(ids: pl.Series) -> bool:
    """Whether every id is longer than the previous one, or as long and greater, so that none repeats."""
    before, after = ids.slice(0, len(ids) - 1), ids.slice(1)
    shorter, longer = before.str.len_bytes(), after.str.len_bytes()
    return bool(((longer > shorter) | ((longer == shorter) & (after > before))).all())


def rises(left: str, right: str) -> bool:
    """Whether that holds between the last id of a slice and the first of the next.

    >>> rises("9", "10"), rises("10", "9")
    (True, False)
    """
    return (len(left.encode()), left) < (len(right.encode()), right)


def _order_us(source: DetectorSource, frame: pl.DataFrame) -> NDArray[np.int64]:
    order: NDArray[np.int64] = frame[_arrived(frame) or source.detector.time].to_physical().to_numpy()
    return order


def _arrived(frame: pl.DataFrame) -> str | None:
    return "arrived_at" if "arrived_at" in frame.columns else None


# ---------------------------------------------------------------- files that are not in order


class Cutting:
    """Slices as read -> pieces of the slices that they belong to."""

    def __init__(self, source: DetectorSource, bounds: tuple[int, ...], places: tuple[int, ...]) -> None:
        self.source, self.bounds, self.places = source, bounds, places

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Process one partition, as called by Spark."""
        for cell in rows_of(batches):
            frame = unpack_frame(cell["data"])
            if not len(frame):
                continue
            ends = np.searchsorted(_order_us(self.source, frame), np.array(self.bounds, np.int64), "left")
            for number, (start, end) in enumerate(zip([0, *ends], [*ends, len(frame)], strict=True)):
                if start < end:
                    place = self.places[place_of(number, len(self.bounds) + 1, len(self.places))]
                    yield block(int(cell["slice"]), number, place, pack_frame(frame[start:end]))


class Merging:
    """Pieces -> slices in order."""

    def __init__(self, source: DetectorSource) -> None:
        self.source = source

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Process one partition, as called by Spark."""
        for number, cells in grouped(rows_of(batches), "slice"):
            merged = pl.concat([unpack_frame(cell["data"]) for cell in cells])
            order = _arrived(merged) or self.source.detector.time
            yield describe(self.source, number, merged.sort([order, FILE, ROW]), 0, [])


def grouped(cells: Iterable[dict[str, Any]], name: str) -> Iterator[tuple[int, Iterator[dict[str, Any]]]]:
    """Runs of rows that agree in a column."""
    yield from groupby(cells, key=lambda cell: int(cell[name]))


def place_of(slice: int, slices: int, parts: int) -> int:
    """The shuffle partition of a slice: partitions in order hold the sequence in order."""
    return min(slice * parts // max(slices, 1), parts - 1)


# ---------------------------------------------------------------- reading a slice again


@dataclass(frozen=True)
class Opening:
    """Reads the data of a slice into a batch. repeated: the rows, by slice, whose id came before."""

    source: DetectorSource
    repeated: dict[int, list[int]]

    def frame(self, cell: dict[str, Any]) -> pl.DataFrame:
        """The events that count."""
        frame = unpack_frame(cell["data"])
        rows = self.repeated.get(int(cell["slice"]))
        return frame if rows is None else frame.filter(~pl.int_range(pl.len()).is_in(rows))

    def read(self, frame: pl.DataFrame) -> tuple[Batch, Any]:
        """The batch with its labels, the steps over fields alone done."""
        [found] = self.source.reader().read_frames(frame, len(frame), arrived=_arrived(frame))
        for step in self.source.detector.plan.before:
            step.run(found.batch)
        return found.batch, found.labels
