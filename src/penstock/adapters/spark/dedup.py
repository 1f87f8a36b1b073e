"""Deduplication by id hash: drops events whose id came within `dedupe`, and sends the others to their entities' buckets.

A bucket of ids keeps those of each minute together, in a map of Spark's state, so that a micro-batch writes little and
minutes older than `dedupe` are dropped whole.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql.streaming.stateful_processor import StatefulProcessor, StatefulProcessorHandle

from penstock.adapters.spark.blocks import bucket_of, numbers, pack, unpack
from penstock.adapters.spark.buckets import Needs
from penstock.adapters.spark.inbox import REFUSED
from penstock.adapters.spark.shuffle import dealt
from penstock.adapters.spark.source import DetectorSource
from penstock.adapters.spark.state_cache import StateCache
from penstock.ledger import Claims

TIMES = -1
"""The slice of the times of all new events, which every group is told."""
KEPT = 1 << 20
"""Groups from here on hold the events themselves, which wait for their features."""
_MINUTE_US = 60_000_000
_PLACES = ("arrived_us", "partition", "offset")

_cache: StateCache[tuple[int, Claims]] = StateCache()


class Dedup(StatefulProcessor):
    """Parcels by id -> parcels by entity and bucket, which `keyed_state.KeyedState` reads. run: names this start."""

    def __init__(self, source: DetectorSource, buckets: int, run: str) -> None:
        self.source, self.buckets, self.run = source, buckets, run

    def init(self, handle: StatefulProcessorHandle) -> None:
        """Called by Spark before anything else."""
        self.at = handle.getValueState("at", "version bigint, minute bigint")
        self.minutes = handle.getMapState("minutes", "minute bigint", "data binary")

    def handleInputRows(self, key: Any, rows: Iterator[pd.DataFrame], timerValues: Any) -> Iterator[pd.DataFrame]:  # noqa: ARG002, N802, N803  Spark's signature
        """One group of one micro-batch."""
        parcels = pd.concat(list(rows))
        if key[0] == REFUSED:
            yield parcels
            return
        found = _joined([unpack(pa.py_buffer(data)) for data in parcels["data"]], parcels["slice"].to_numpy())
        order = np.lexsort([numbers(found, name) for name in reversed(_PLACES)])
        found = found.take(pa.array(order))
        new = self._new(int(key[0]), found)
        if len(new) < len(found):
            found = found.take(pa.array(new))
        if len(found):
            yield pd.DataFrame(self._onwards(int(key[0]), found), columns=["group", "slice", "data"])

    def close(self) -> None:
        """Called by Spark at the end."""

    # ---- which ids are new

    def _new(self, group: int, found: pa.RecordBatch) -> NDArray[np.int64]:
        version, minute = self.at.get() or (0, 0)
        claims = self._claims(group, version)
        codes, arrived = np.array(numbers(found, "code")), np.array(numbers(found, "arrived_us"))
        new = np.flatnonzero(claims.claim(codes, arrived, 0) < 0)
        if len(new):
            minute = max(minute, int(arrived.max()) // _MINUTE_US)
            before = self.minutes.getValue((minute,)) or (b"",)
            self.minutes.updateValue((minute,), (bytes(before[0]) + np.stack([codes[new], arrived[new]], axis=1).tobytes(),))
            self._forget(minute)
        self.at.update((version + 1, minute))
        _cache.put((self.run, group), (version + 1, claims))
        return new

    def _claims(self, group: int, version: int) -> Claims:
        """The current claims: cached in this process, or from Spark's state."""
        held = _cache.take((self.run, group))
        if held is not None and held[0] == version:
            return held[1]
        claims = Claims(self.source.detector.dedupe_us)
        for _, data in sorted(self.minutes.iterator(), key=lambda entry: int(entry[0][0])) if version else ():
            pairs = np.frombuffer(bytes(data[0]), np.int64).reshape(-1, 2)
            claims.claim(np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1]), 0)
        return claims

    def _forget(self, minute: int) -> None:
        oldest = minute - self.source.detector.dedupe_us // _MINUTE_US - 2
        for old in [key[0] for key in self.minutes.keys() if key[0] < oldest]:  # noqa: SIM118  a state, no dict
            self.minutes.removeKey((old,))

    # ---- onwards

    def _onwards(self, group: int, found: pa.RecordBatch) -> Iterator[tuple[int, int, bytes]]:
        names = ("slice", "row", "arrived_us", "id", "body")
        yield KEPT + group, 0, pack({name: found.column(name) for name in names}).to_pybytes()
        columns = {name: numbers(found, name) for name in ("slice", "row", *_PLACES, "time_us")}
        times = pack(columns).to_pybytes()
        for number in range(self.buckets):
            yield KEPT + number, TIMES, times
        for entity, plan in enumerate(self.source.detector.plan.entities):
            needs = Needs(self.source.detector, plan)
            keys = np.stack([numbers(found, f"{entity}.key{role}") for role in range(needs.roles)], axis=1)
            bucket = bucket_of(np.ascontiguousarray(keys).reshape(-1), self.buckets).reshape(keys.shape)
            rows, owner = dealt(keys, bucket)
            for number in range(self.buckets):
                yield entity * self.buckets + number, TIMES, times
                here = np.sort(rows[owner == number])
                if len(here):
                    yield entity * self.buckets + number, 0, self._of_bucket(found, entity, here, keys, bucket, number)

    def _of_bucket(
        self,
        found: pa.RecordBatch,
        entity: int,
        here: NDArray[np.int64],
        keys: NDArray[np.int64],
        bucket: NDArray[np.int32],
        number: int,
    ) -> bytes:
        part = found.take(pa.array(here))
        columns: dict[str, Any] = {name: part.column(name) for name in ("slice", "row", "kind", "time_us")}
        prefix = f"{entity}."
        for name in part.schema.names:
            if name.startswith(prefix):
                columns[name.removeprefix(prefix)] = part.column(name)
        for role in range(keys.shape[1]):
            columns[f"key{role}"] = np.where(bucket[here, role] == number, keys[here, role], 0)
        return bytes(pack(columns).to_pybytes())


def _joined(parts: list[pa.RecordBatch], slices: NDArray[np.int64]) -> pa.RecordBatch:
    """Blocks merged into one, each row with its slice."""
    named = [
        part.append_column("slice", pa.array(np.full(len(part), number)))
        for part, number in zip(parts, slices.tolist(), strict=True)
    ]
    return pa.Table.from_batches(named).combine_chunks().to_batches()[0]
