"""Facts about an event that depend on all earlier ones: whether its id is a repeat, and the stream's clock.

Ids are checked by bucket; the clock is one walk over two numbers an event, in one
task, which is skipped where it would only repeat the times.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from penstock.adapters.spark.blocks import (
    BLOCK_TYPE,
    block,
    bucket_of,
    numbers,
    pack,
    pack_frame,
    row,
    rows_of,
    shuffled,
    unpack,
    unpack_frame,
)
from penstock.adapters.spark.scan import Opening, Slices, grouped, rises
from penstock.adapters.spark.source import DetectorSource
from penstock.codes import text_codes
from penstock.features.kernel.handles import pace
from penstock.features.state import STRIDE_US
from penstock.ledger import Claims
from penstock.messages import Batch

_ENTRY = pa.schema([("slice", pa.int32()), ("clock_us", pa.int64()), ("pace_us", pa.int64()), ("lags", pa.bool_())])
_REPEATED = pa.schema([("slice", pa.int32()), ("rows", pa.list_(pa.int32()))])


class SliceClocks(NamedTuple):
    """The two clocks of `features.state.FeatureState` before the first event of a slice; whether the pace lags in it."""

    clock_us: int
    pace_us: int
    lags: bool = False


# ---------------------------------------------------------------- ids that came before


def repeated_rows(source: DetectorSource, slices: Slices, places: Sequence[int]) -> dict[int, list[int]]:
    """The rows of each slice whose id came within the detector's `dedupe`."""
    facts = slices.facts
    apart = all(rises(left["last_id"], right["first_id"]) for left, right in pairwise(facts))
    if apart and all(fact["rising"] for fact in facts):
        return {}
    named = slices.frame.mapInArrow(Naming(source, tuple(places)), BLOCK_TYPE)
    asked = shuffled(named, len(places), ["group", "slice"]).mapInArrow(Asking(source), "slice int, rows array<int>")
    found: dict[int, list[int]] = {}
    for number, rows in asked.collect():
        found.setdefault(number, []).extend(rows)
    return found


class Naming:
    """Slices -> ids by bucket, with arrivals."""

    def __init__(self, source: DetectorSource, places: tuple[int, ...]) -> None:
        self.source, self.places = source, places

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Process one partition, as called by Spark."""
        detector = self.source.detector
        for cell in rows_of(batches):
            frame = unpack_frame(cell["data"])
            arrived = "arrived_at" if "arrived_at" in frame.columns else detector.time
            ids = frame.select(id=detector.id, arrived_us=pl.col(arrived).to_physical()).with_row_index("row")
            bucket = bucket_of(text_codes(ids["id"].to_list()), len(self.places))
            for number, part in ids.with_columns(bucket=bucket).partition_by("bucket", as_dict=True, include_key=False).items():
                yield block(int(number[0]), int(cell["slice"]), self.places[int(number[0])], pack_frame(part))


class Asking:
    """Ids by bucket -> rows of slices with a repeated id."""

    def __init__(self, source: DetectorSource) -> None:
        self.source = source

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Process one partition, as called by Spark."""
        for _, cells in grouped(rows_of(batches), "group"):
            parts = [unpack_frame(cell["data"]).with_columns(slice=pl.lit(int(cell["slice"]))) for cell in cells]
            ids = pl.concat(parts)
            codes = ids["id"].cast(pl.Categorical).to_physical().to_numpy().astype(np.int64) + 1  # the ids themselves decide
            seen = Claims(self.source.detector.dedupe_us).claim(codes, ids["arrived_us"].to_numpy(), 0)
            for number, part in ids.filter(pl.Series(seen >= 0)).partition_by("slice", as_dict=True).items():
                yield row(_REPEATED, slice=int(number[0]), rows=part["row"].to_list())


# ---------------------------------------------------------------- the clock


def entries(source: DetectorSource, slices: Slices, repeated: dict[int, list[int]]) -> dict[int, SliceClocks]:
    """The clocks before each slice."""
    if not slices.timed and not repeated and _is_calm(slices):
        ends = [0, *(int(fact["last_us"]) for fact in slices.facts)]
        return {fact["slice"]: SliceClocks(end, end) for fact, end in zip(slices.facts, ends, strict=False)}
    timed = slices.frame.mapInArrow(EventTimes(Opening(source, repeated)), BLOCK_TYPE)
    walked = shuffled(timed, 1, ["slice"]).mapInArrow(Walking(source), "slice int, clock_us long, pace_us long, lags boolean")
    return {number: SliceClocks(clock, at, lags) for number, clock, at, lags in walked.collect()}


def _is_calm(slices: Slices) -> bool:
    """Whether no event comes so long after the one before that the pace clock would lag behind."""
    facts = slices.facts
    between = [right["first_us"] - left["last_us"] for left, right in pairwise(facts)]
    return bool(max([0, *between, *(fact["gap_us"] for fact in facts)]) <= STRIDE_US)


class EventTimes:
    """Slices -> the times and arrivals of their events."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Process one partition, as called by Spark."""
        time = self.opening.source.detector.time
        for cell in rows_of(batches):
            frame = self.opening.frame(cell)
            times = frame[time].to_physical().to_numpy()
            arrived = frame["arrived_at"].to_physical().to_numpy() if "arrived_at" in frame.columns else times
            yield block(0, int(cell["slice"]), 0, pack({"time_us": times, "arrived_us": arrived}))


class Walking:
    """Times in sequence order -> an entry for each slice."""

    def __init__(self, source: DetectorSource) -> None:
        self.source = source

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Process one partition, as called by Spark."""
        clocks = np.zeros(2, np.int64)
        for cell in rows_of(batches):
            found, before = unpack(cell["data"]), clocks.tolist()
            times, arrived = (np.array(numbers(found, name)) for name in ("time_us", "arrived_us"))
            walk = walked(times, arrived, self.source.detector.max_ahead_us, clocks)
            lags = bool((times > walk.pace_us)[walk.keep].any())
            yield row(_ENTRY, slice=int(cell["slice"]), clock_us=before[0], pace_us=before[1], lags=lags)


def walk(batch: Batch, entry: SliceClocks, max_ahead_us: int) -> "Walk":
    """Which events may enter state, and both clocks at each."""
    clocks = np.array([entry.clock_us, entry.pace_us], np.int64)
    return walked(batch.time_us, batch.arrived_us, max_ahead_us, clocks)


class Walk(NamedTuple):
    """keep: which events may enter state. clock_us, pace_us: both clocks with each event."""

    keep: NDArray[np.bool_]
    clock_us: NDArray[np.int64]
    pace_us: NDArray[np.int64]


def walked(times: NDArray[np.int64], arrived: NDArray[np.int64], max_ahead_us: int, clocks: NDArray[np.int64]) -> Walk:
    """Advance the clocks, [stream clock, pace], over some events in sequence order."""
    keep, paces = np.empty(len(times), np.bool_), np.empty(len(times), np.int64)
    started = int(clocks[0])
    pace(times, arrived, max_ahead_us, STRIDE_US, clocks, keep, paces, True)
    newest = np.maximum.accumulate(np.maximum(np.minimum(times, arrived), started)) if len(times) else times
    return Walk(keep, newest, paces)
