"""Joins features from the buckets to their events: slices as rows of a replay."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from penstock.adapters.spark.blocks import numbers, rows_of, unpack
from penstock.adapters.spark.buckets import Needs
from penstock.adapters.spark.scan import Opening, grouped
from penstock.detector import Detector
from penstock.engine import Pipeline
from penstock.ingest.selection import take
from penstock.messages import Batch, Type
from penstock.models import Ensemble
from penstock.offline.replay import CHUNK, ReplayChunk, frame_of

BASE = -1
"""The group of the slices themselves, before all buckets."""
_TYPES = {Type.NUMBER: pa.float64(), Type.BOOLEAN: pa.bool_(), Type.TIME: pa.timestamp("us", "UTC"), Type.TEXT: pa.string()}


def result_schema(detector: Detector, ensemble: Ensemble | None) -> pa.Schema:
    """The columns of a replay."""
    layout = detector.plan.layout
    scores = ["score", *(f"score_{name}" for name in (ensemble.names if ensemble else ()))]
    fields = [(detector.id, pa.string()), (detector.time, _TYPES[Type.TIME])]
    fields += [(name, _TYPES[layout[name].type]) for name in detector.plan.features]
    return pa.schema([*fields, *((name, pa.float64()) for name in scores), ("decision", pa.string())])


class Collect:
    """Slices and the features from their buckets, by slice -> decided rows."""

    def __init__(self, opening: Opening, buckets: int) -> None:
        self.opening, self.buckets = opening, buckets

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Process one partition, as called by Spark."""
        source = self.opening.source
        path = Pipeline(source.detector, source.ensemble)
        schema = result_schema(source.detector, source.ensemble)
        needs = [Needs(source.detector, plan) for plan in source.detector.plan.entities]
        for _, cells in grouped(rows_of(batches), "slice"):
            frame = self.opening.frame(next(cells))
            if not len(frame):
                continue
            batch, _ = self.opening.read(frame)
            for cell in cells:
                put(needs[int(cell["group"]) // self.buckets], source.detector, batch, unpack(cell["data"]))
            complete(source.detector, batch)
            rows = frame_of(source.detector, source.ensemble, _decided(path, batch), len(batch))
            yield from _arrow(rows, schema)


def put(needs: Needs, detector: Detector, batch: Batch, found: pa.RecordBatch) -> None:
    """Write the features of a bucket into the columns of its events."""
    rows, decided = numbers(found, "row"), numbers(found, "kind") == 0
    names = {column.index: name for name, column in detector.plan.layout.items() if column.type is Type.TEXT}
    for role in range(needs.roles):
        here = np.flatnonzero(decided & (numbers(found, f"in{role}") != 0))
        at = rows[here]
        for column in needs.filled[role]:
            batch.x[at, column] = numbers(found, f"x{column}")[here]
        for column in needs.label_columns[role]:
            batch.codes[at, column] = numbers(found, f"c{column}")[here]
            texts: Any = batch.texts.setdefault(names[column], [None] * len(batch))
            for row, text in zip(at.tolist(), found.column(f"t{column}").take(pa.array(here)).to_pylist(), strict=True):
                texts[row] = text


def complete(detector: Detector, batch: Batch) -> None:
    """Fill text columns that no event of the batch has with null."""
    for columns in detector.plan.remembered.values():
        for column in columns:
            batch.texts.setdefault(column.name, [None] * len(batch))


def _decided(path: Pipeline, batch: Batch) -> Iterator[ReplayChunk]:
    for start in range(0, len(batch), CHUNK):
        piece = take(batch, slice(start, start + CHUNK))
        yield ReplayChunk(piece, np.empty(0, np.int64), path.score_and_decide(piece, time.perf_counter_ns(), explain=False))


def _arrow(rows: pl.DataFrame, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    yield from rows.to_arrow().cast(schema).combine_chunks().to_batches()
