"""The shuffle of events to the buckets of their entities."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from penstock.adapters.spark.blocks import block, bucket_of, pack, rows_of
from penstock.adapters.spark.buckets import NEVER, Needs
from penstock.adapters.spark.clock import SliceClocks, walk
from penstock.adapters.spark.scan import Opening
from penstock.detector import Detector
from penstock.features.plan import EntityPlan
from penstock.features.state import key_codes
from penstock.messages import Batch
from penstock.offline.replay import known_labels


class Shuffle:
    """Slices -> a block for every entity and bucket that has events there.

    group of a block: entity * buckets + bucket.
    """

    def __init__(self, opening: Opening, entries: dict[int, SliceClocks], buckets: int, places: tuple[int, ...]) -> None:
        self.opening, self.entries, self.buckets, self.places = opening, entries, buckets, places

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Process one partition, as called by Spark."""
        detector = self.opening.source.detector
        entities = [(Needs(detector, plan), plan) for plan in detector.plan.entities]
        for cell in rows_of(batches):
            frame, number = self.opening.frame(cell), int(cell["slice"])
            if not len(frame):
                continue
            batch, labels = self.opening.read(frame)
            columns = _common(detector, batch, self.entries[number], labels)
            for entity, (needs, plan) in enumerate(entities):
                for bucket, data in _spread(needs, plan, batch, columns, self.buckets):
                    group = entity * self.buckets + bucket
                    yield block(group, number, self.places[group % len(self.places)], data)


def _common(detector: Detector, batch: Batch, entry: SliceClocks, labels: Any) -> dict[str, NDArray[Any]]:
    """The columns that every entity's blocks carry."""
    keep, clock_us, pace_us = walk(batch, entry, detector.max_ahead_us)
    columns: dict[str, NDArray[Any]] = {"kind": batch.kinds, "time_us": batch.time_us, "pace_us": pace_us}
    columns |= {"keep": keep.view(np.uint8), "clock_us": clock_us}
    known_us, fraud = known_labels(detector, batch, labels)
    if fraud is not None:
        columns["known_us"] = np.where(fraud, known_us, NEVER)
    return columns


def _spread(
    needs: Needs, plan: EntityPlan, batch: Batch, common: dict[str, NDArray[Any]], buckets: int
) -> Iterator[tuple[int, pa.Buffer]]:
    keys = key_codes(plan, batch)
    bucket = bucket_of(keys.reshape(-1), buckets).reshape(keys.shape)
    rows, owner = dealt(keys, bucket)
    order = np.lexsort((rows, owner))
    rows, owner = rows[order], owner[order]
    ends = np.searchsorted(owner, np.arange(buckets + 1))
    columns: dict[str, Any] = {"row": rows.astype(np.int32)}
    for role in range(needs.roles):
        columns[f"key{role}"] = np.where(bucket[rows, role] == owner, keys[rows, role], 0)
    names = ("kind", "time_us", "pace_us", "keep", *(("clock_us", "known_us") if needs.waits and "known_us" in common else ()))
    columns |= {name: common[name][rows] for name in names}
    columns |= read_columns(needs, batch, rows)
    for number in range(buckets):
        start, end = int(ends[number]), int(ends[number + 1])
        if start < end:
            yield number, pack({name: column[start:end] for name, column in columns.items()})


def read_columns(needs: Needs, batch: Batch, rows: NDArray[np.int64]) -> dict[str, Any]:
    """The columns that the kernel reads, of some rows of a batch."""
    columns: dict[str, Any] = {f"x{at}": batch.x[rows, at] for at in needs.numbers}
    columns |= {f"c{at}": batch.codes[rows, at] for at in needs.codes}
    texts = {at: pa.array(list(batch.texts[name]), pa.string()) for at, name in needs.words.items()}
    return columns | {f"t{at}": column.take(pa.array(rows)) for at, column in texts.items()}


def dealt(keys: NDArray[np.int64], bucket: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """(row, bucket) for every bucket that holds a key of the row, once each."""
    rows: list[NDArray[np.int64]] = []
    owners: list[NDArray[np.int32]] = []
    for role in range(keys.shape[1]):
        here = keys[:, role] != 0
        for earlier in range(role):
            here &= (keys[:, earlier] == 0) | (bucket[:, earlier] != bucket[:, role])
        found = np.flatnonzero(here)
        rows.append(found)
        owners.append(bucket[found, role])
    return np.concatenate(rows), np.concatenate(owners)
