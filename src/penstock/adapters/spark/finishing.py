"""New events and what their buckets computed -> decisions, as everywhere: derived features, models, rules, policy."""

import functools
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from penstock.adapters.spark.blocks import numbers, pack, row, rows_of, unpack
from penstock.adapters.spark.buckets import Needs
from penstock.adapters.spark.claiming import KEPT
from penstock.adapters.spark.gathering import complete, put
from penstock.adapters.spark.inbox import REFUSED
from penstock.adapters.spark.scan import grouped
from penstock.adapters.spark.source import Source
from penstock.codes import text_codes
from penstock.decision import compose
from penstock.engine import Engine
from penstock.engine.path import take
from penstock.ledger.encoding import encode
from penstock.messages import Batch

DONE = pa.schema([("slice", pa.int64()), ("kind", pa.string()), ("data", pa.binary())])
DONE_TYPE = "slice bigint, kind string, data binary"
"""What a slice has come to. kind: `decisions`, `quarantine`, or `record`, as the ledger encodes it."""
_PLACES = ("arrived_us", "partition", "offset")


class Finishing:
    """Parcels of a micro-batch, by slice -> decisions."""

    def __init__(self, source: Source, buckets: int, *, records: bool) -> None:
        self.source, self.buckets, self.records = source, buckets, records

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What Spark calls for a part."""
        for number, cells in grouped(rows_of(batches), "slice"):
            kept, computed = [], []
            for cell in cells:
                if cell["group"] == REFUSED:
                    yield row(DONE, slice=number, kind="quarantine", data=cell["data"])
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
        events = events.take(pa.array(np.lexsort([numbers(events, name) for name in reversed(_PLACES)])))
        batch = self._batch(events)
        places = np.empty(int(numbers(events, "row").max()) + 1, np.int64)
        places[numbers(events, "row")] = np.arange(len(events))
        for entity, found in computed:
            put(Needs(detector, detector.plan.entities[entity]), detector, batch, found, places)
        complete(detector, batch)
        rows = np.flatnonzero(batch.kinds == 0)
        if not len(rows):
            return
        batch = take(batch, rows)
        record, rendered = decide(engine, batch, began_ns)
        columns: dict[str, Any] = {name: numbers(events, name)[rows] for name in _PLACES}
        columns |= {"id": pa.array(list(batch.ids), pa.string()), "body": pa.array(rendered, pa.binary())}
        yield row(DONE, slice=number, kind="decisions", data=pack(columns))
        if self.records:
            yield row(DONE, slice=number, kind="record", data=pa.py_buffer(encode(record, 0)))

    def _batch(self, events: pa.RecordBatch) -> Batch:
        bodies = events.column("body").to_pylist()
        batch: Batch = _reader(self.source).read(bodies, np.array(numbers(events, "arrived_us"))).batch
        batch.ids = events.column("id").to_pylist()
        for step in self.source.detector.plan.before:
            step.run(batch)
        return batch


def decide(engine: Engine, batch: Batch, began_ns: int) -> tuple[Any, list[bytes]]:
    """Decisions about a batch whose aggregates are there: the record, and the JSON of each."""
    detector = engine.detector
    judged = engine.path.conclude(batch, began_ns, explain=detector.policy.explain)
    latency_ms = {stage: ns // 100 / 10_000 for stage, ns in judged.latency_ns.items()}
    record = compose(
        batch,
        text_codes(batch.ids),
        judged.verdicts,
        judged.scores,
        detector=detector.name,
        first_seq=0,
        decided_us=engine.clock(),
        layout=engine.layout_id,
        versions=engine.versions,
        latency_ms={"decode": 0.0, **latency_ms, "total": sum(latency_ms.values())},
        degraded=[judged.degraded] * len(batch) if judged.degraded else None,
        explained=judged.explained,
        contributions=judged.contributions,
    )
    engine.renderer.explain(record, judged.verdicts.unusual)
    return record, engine.renderer.render(record)


@functools.cache
def _engine(source: Source) -> Engine:
    """What decides in this process; its own state stays empty."""
    return Engine(source.detector, models=source.ensemble, personal_key=source.personal_key, wait_for_models=True)


@functools.cache
def _reader(source: Source) -> Any:
    return source.reader()
