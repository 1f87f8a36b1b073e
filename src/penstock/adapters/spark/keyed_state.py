"""The buckets of all entities in Spark's keyed state: a kernel snapshot, and the blocks since.

A bucket's state is a *snapshot* and a *log*: a micro-batch appends its own events, which is little, and once the log has
outgrown the snapshot, the whole is written anew. A process that still holds the bucket reads neither.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql.streaming.stateful_processor import StatefulProcessor, StatefulProcessorHandle

from penstock.adapters.spark.blocks import numbers, pack, unpack
from penstock.adapters.spark.buckets import Needs, StateBucket
from penstock.adapters.spark.clock import Walk, walked
from penstock.adapters.spark.dedup import KEPT, TIMES
from penstock.adapters.spark.inbox import REFUSED
from penstock.adapters.spark.source import DetectorSource
from penstock.adapters.spark.state_cache import StateCache
from penstock.decoding import prepared

SLICE = 4_096
"""Events that are decided together."""
LEAST_LOG = 1 << 20
"""Bytes of a log that are not worth a snapshot."""
_PLACES = ("arrived_us", "partition", "offset")


class SavedBucket(msgspec.Struct):
    """A bucket as bytes: the arrays of its table, its words, and how many events it has seen."""

    arrays: dict[str, tuple[list[int], bytes]]
    words: dict[int, str]
    sequence: int


class CachedState(msgspec.Struct):
    """A cached bucket, and its version in Spark's state."""

    version: int
    bucket: Any


_cache: StateCache[CachedState] = StateCache()
_decode = msgspec.msgpack.Decoder(prepared(SavedBucket)).decode


class KeyedState(StatefulProcessor):
    """Parcels by entity and bucket -> their features, and the events themselves, by slices of the sequence.

    run: names this start.
    """

    def __init__(self, source: DetectorSource, buckets: int, run: str) -> None:
        self.source, self.buckets, self.run = source, buckets, run

    def init(self, handle: StatefulProcessorHandle) -> None:
        """Called by Spark before anything else."""
        self.at = handle.getValueState("at", "version bigint, clock_us bigint, pace_us bigint, snapshot bigint, logged bigint")
        self.snapshot = handle.getValueState("snapshot", "data binary")
        self.log = handle.getListState("log", "data binary")

    def handleInputRows(self, key: Any, rows: Iterator[pd.DataFrame], timerValues: Any) -> Iterator[pd.DataFrame]:  # noqa: ARG002, N802, N803  Spark's signature
        """One group of one micro-batch."""
        group, parcels = int(key[0]), pd.concat(list(rows))
        if group == REFUSED:
            yield parcels
            return
        is_time = (parcels["slice"] == TIMES).to_numpy()
        times, own = _together(parcels["data"][is_time]), parcels["data"][~is_time]
        order = np.lexsort([numbers(times, name) for name in reversed(_PLACES)])
        found = _together(own) if len(own) else times.slice(0, 0)
        at = _positions(found, times, order)
        if group < KEPT:
            found = self._computed(group, found, at, times.take(pa.array(order)))
            at = np.sort(at)
        if len(at):
            yield pd.DataFrame(_by_slice(group, found, at), columns=["group", "slice", "data"])

    def close(self) -> None:
        """Called by Spark at the end."""

    # ---- state

    def _computed(self, group: int, found: pa.RecordBatch, at: NDArray[np.int64], times: pa.RecordBatch) -> pa.RecordBatch:
        """The features of the events at these places of all; times: of all events, in sequence order."""
        version, clock_us, pace_us, saved, logged = self.at.get() or (0, 0, 0, 0, 0)
        clocks = np.array([clock_us, pace_us], np.int64)
        time_us, arrived_us = np.array(numbers(times, "time_us")), np.array(numbers(times, "arrived_us"))
        walk = walked(time_us, arrived_us, self.source.detector.max_ahead_us, clocks)
        if len(at):
            bucket = self._bucket(group, version)
            block = _timed(found, at, walk)
            found = unpack(pack(bucket.run(block)))
            saved, logged = self._keep(bucket, block, saved, logged)
            version += 1
            _cache.put((self.run, group), CachedState(version, bucket))
        self.at.update((version, int(clocks[0]), int(clocks[1]), saved, logged))
        return found

    def _bucket(self, group: int, version: int) -> StateBucket:
        """The bucket, from this process's cache or from Spark's state."""
        held = _cache.take((self.run, group))
        if held is not None and held.version == version:
            bucket: StateBucket = held.bucket
            return bucket
        plan = self.source.detector.plan.entities[group // self.buckets]
        bucket = StateBucket(Needs(self.source.detector, plan), plan)
        if (whole := self.snapshot.get()) is not None:
            restore(bucket, bytes(whole[0]))
        for (data,) in self.log.get() if version else ():
            bucket.run(unpack(pa.py_buffer(bytes(data))))
        return bucket

    def _keep(self, bucket: StateBucket, block: pa.RecordBatch, saved: int, logged: int) -> tuple[int, int]:
        """Store the changes; returns the sizes of snapshot and log."""
        data = pack({name: block.column(name) for name in block.schema.names}).to_pybytes()
        if logged + len(data) <= max(LEAST_LOG, saved):
            self.log.appendValue((data,))
            return saved, logged + len(data)
        whole = save(bucket)
        self.snapshot.update((whole,))
        self.log.clear()
        return len(whole), 0


def save(bucket: StateBucket) -> bytes:
    """A bucket as bytes."""
    arrays = {name: (list(array.shape), array.tobytes()) for name, array in bucket.table.arrays().items()}
    return msgspec.msgpack.encode(SavedBucket(arrays, bucket.words, bucket.sequence))


def restore(bucket: StateBucket, data: bytes) -> None:
    """Load saved state into an empty bucket."""
    saved = _decode(data)
    arrays = {name: np.frombuffer(held, np.int64).reshape(shape).copy() for name, (shape, held) in saved.arrays.items()}
    bucket.table.load(arrays)
    bucket.words, bucket.sequence = saved.words, saved.sequence


# ---------------------------------------------------------------- blocks


def _together(data: Any) -> pa.RecordBatch:
    parts = [unpack(pa.py_buffer(part)) for part in data]
    return pa.Table.from_batches(parts).combine_chunks().to_batches()[0]


def _timed(block: pa.RecordBatch, at: NDArray[np.int64], walk: Walk) -> pa.RecordBatch:
    """The block in sequence order, with the clock at each of its events."""
    sequence = np.argsort(at)
    at, block = at[sequence], block.take(pa.array(sequence))
    clock = {"keep": walk.keep[at].view(np.uint8), "clock_us": walk.clock_us[at], "pace_us": walk.pace_us[at]}
    columns = [*(block.column(name) for name in block.schema.names), *map(pa.array, clock.values())]
    return pa.RecordBatch.from_arrays(columns, names=[*block.schema.names, *clock])


def _positions(block: pa.RecordBatch, times: pa.RecordBatch, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """The positions of the block's events in the sequence."""
    everywhere = np.rec.fromarrays([numbers(times, "slice")[order], numbers(times, "row")[order]])
    own = np.rec.fromarrays([numbers(block, "slice"), numbers(block, "row")])
    by_place = np.argsort(everywhere, kind="stable")
    found: NDArray[np.int64] = by_place[np.searchsorted(everywhere[by_place], own)]
    return found


def _by_slice(group: int, found: pa.RecordBatch, at: NDArray[np.int64]) -> Iterator[tuple[int, int, bytes]]:
    """The rows by slice of the sequence, each with its place there as `row`."""
    columns = {name: found.column(name) for name in found.schema.names if name != "slice"}
    whole = unpack(pack(columns | {"row": (at % SLICE).astype(np.int32)}))
    slices = at // SLICE
    for number in np.unique(slices).tolist():
        part = whole.filter(pa.array(slices == number))
        yield group, number, pack({name: part.column(name) for name in part.schema.names}).to_pybytes()
