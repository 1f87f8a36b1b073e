"""Decisions from new events and the features of their buckets: derived features, models, rules, policy."""

import functools
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from penstock.adapters.spark.blocks import numbers, pack, row, rows_of, unpack
from penstock.adapters.spark.buckets import Needs
from penstock.adapters.spark.collect import complete, put
from penstock.adapters.spark.dedup import KEPT
from penstock.adapters.spark.inbox import REFUSED
from penstock.adapters.spark.scan import grouped
from penstock.adapters.spark.source import DetectorSource
from penstock.codes import text_codes
from penstock.decision import compose
from penstock.engine import Engine
from penstock.engine.records import applied
from penstock.ingest.selection import take
from penstock.ledger.encoding import encode
from penstock.messages import Batch

DONE = pa.schema([("slice", pa.int64()), ("nth", pa.int32()), ("kind", pa.string()), ("data", pa.binary())])
DONE_TYPE = "slice bigint, nth int, kind string, data binary"
"""What a slice has come to. kind: `decisions`, `quarantine`, or `record`, as the ledger encodes it; nth: among the slice's."""


class Decide:
    """Parcels of a micro-batch, by slice -> decisions."""

    def __init__(self, source: DetectorSource, buckets: int) -> None:
        self.source, self.buckets = source, buckets

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Process one partition, as called by Spark."""
        for number, cells in grouped(rows_of(batches), "slice"):
            kept, computed = [], []
            for cell in cells:
                if cell["group"] == REFUSED:
                    yield row(DONE, slice=number, nth=0, kind="quarantine", data=cell["data"])
                elif cell["group"] >= KEPT:
                    kept.append(unpack(cell["data"]))
                else:
                    computed.append((int(cell["group"]) // self.buckets, unpack(cell["data"])))
            if kept:
                yield from self._decided(number, kept, computed)

    def _decided(
        self, number: int, kept: list[pa.RecordBatch], computed: list[tuple[int, pa.RecordBatch]]
    ) -> Iterator[pa.RecordBatch]:
        began_ns = time.perf_counter_ns()
        engine, detector = _engine(self.source), self.source.detector
        events = pa.Table.from_batches(kept).combine_chunks().to_batches()[0]
        events = events.take(pa.array(np.argsort(numbers(events, "row"))))
        batch = self._batch(events)
        for entity, found in computed:
            put(Needs(detector, detector.plan.entities[entity]), detector, batch, found)
        complete(detector, batch)
        for nth, rows in enumerate(_runs(batch.kinds > 0)):
            part = take(batch, rows)
            if part.kinds[0]:
                record = applied(part, "informing", detector.name, 0, {"layout": engine.active.format.layout_id})
            else:
                record, rendered = decide(engine, part, began_ns)
                columns = {"id": pa.array(list(part.ids), pa.string()), "body": pa.array(rendered, pa.binary())}
                yield row(DONE, slice=number, nth=nth, kind="decisions", data=pack(columns))
            yield row(DONE, slice=number, nth=nth, kind="record", data=pa.py_buffer(encode(record, 0)))

    def _batch(self, events: pa.RecordBatch) -> Batch:
        bodies = events.column("body").to_pylist()
        batch: Batch = _reader(self.source).read(bodies, np.array(numbers(events, "arrived_us"))).batch
        batch.ids = events.column("id").to_pylist()
        for step in self.source.detector.plan.before:
            step.run(batch)
        return batch


def _runs(informing: NDArray[np.bool_]) -> Iterator[slice]:
    """Stretches of transactions, and of informing events."""
    ends = [*(np.flatnonzero(informing[1:] != informing[:-1]) + 1).tolist(), len(informing)]
    yield from (slice(start, end) for start, end in zip([0, *ends], ends, strict=False))


def decide(engine: Engine, batch: Batch, began_ns: int) -> tuple[Any, list[bytes]]:
    """Decide a batch with computed aggregates: returns the record, and the JSON of each decision."""
    detector = engine.detector
    judged = engine.pipeline.score_and_decide(batch, began_ns, explain=detector.policy.explain)
    latency_ms = {stage: ns // 100 / 10_000 for stage, ns in judged.latency_ns.items()}
    record = compose(
        batch,
        text_codes(batch.ids),
        judged.verdicts,
        judged.scores,
        detector=detector.name,
        first_seq=0,
        decided_us=engine.clock(),
        layout=engine.active.format.layout_id,
        versions=engine.active.format.versions,
        latency_ms={"decode": 0.0, **latency_ms, "total": sum(latency_ms.values())},
        degraded=[judged.degraded] * len(batch) if judged.degraded else None,
        explained=judged.explained,
        contributions=judged.contributions,
    )
    engine.active.format.renderer.explain(record, judged.verdicts.unusual)
    return record, engine.active.format.renderer.render(record)


@functools.cache
def _engine(source: DetectorSource) -> Engine:
    """The engine of this process, used to decide; its state stays empty."""
    return Engine(source.detector, models=source.ensemble, personal_key=source.personal_key, wait_for_models=True)


@functools.cache
def _reader(source: DetectorSource) -> Any:
    return source.reader()
