"""Decoding of messages into events: parsed, checked, and partitioned by the hash of their ids."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from penstock.adapters.spark.blocks import bucket_of, pack, row
from penstock.adapters.spark.buckets import Needs
from penstock.adapters.spark.shuffle import read_columns
from penstock.adapters.spark.source import DetectorSource
from penstock.codes import text_codes
from penstock.features.state import key_codes
from penstock.ingest import masked_event
from penstock.ingest.reader import ReadEvents

PARCEL = pa.schema([("group", pa.int32()), ("slice", pa.int64()), ("data", pa.binary())])
"""A block of a stream. slice: where its first message stands in Kafka, `partition << 40 | offset`."""
PARCEL_TYPE = "group int, slice bigint, data binary"
REFUSED = -1
"""The group of what goes to quarantine."""
LARGEST_BODY = 1 << 20
"""A longer message is no event: it goes to quarantine unread."""
_KEPT_OF_A_BODY = 4_096


def parcel(group: int, slice: int, data: pa.Buffer) -> pa.RecordBatch:
    """One row of `PARCEL`."""
    return row(PARCEL, group=group, slice=slice, data=data)


class SparkInbox:
    """Messages of Kafka -> parcels by id, and refused messages.

    salt: enters the codes of ids, so that senders cannot construct two ids with one code.
    """

    def __init__(self, source: DetectorSource, buckets: int, salt: str) -> None:
        self.source, self.buckets, self.salt = source, buckets, salt

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Process one partition, as called by Spark."""
        for messages in batches:
            if len(messages):
                yield from self._parcels(messages)

    def _parcels(self, messages: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        bodies = [body or b"" for body in messages.column("value").to_pylist()]
        place = {name: messages.column(name).to_numpy() for name in ("arrived_us", "partition", "offset")}
        slice_ = (int(place["partition"][0]) << 40) | int(place["offset"][0])
        read = self.source.reader().read([b"" if len(body) > LARGEST_BODY else body for body in bodies], place["arrived_us"])
        if read.refused:
            yield parcel(REFUSED, slice_, self._quarantined(bodies, read))
        if not len(read.batch):
            return
        for step in self.source.detector.plan.before:
            step.run(read.batch)
        ids = self._ids(read, bodies, place)
        columns = self._columns(read, ids, bodies, place)
        bucket = bucket_of(columns["code"], self.buckets)
        order = np.argsort(bucket, kind="stable")
        ends = np.searchsorted(bucket[order], np.arange(self.buckets + 1))
        for number in range(self.buckets):
            rows = order[ends[number] : ends[number + 1]]
            if len(rows):
                yield parcel(number, slice_, pack({name: _taken(column, rows) for name, column in columns.items()}))

    def _ids(self, read: ReadEvents, bodies: list[bytes], place: dict[str, NDArray[Any]]) -> list[str]:
        """The ids; an event without one is named by its offset, which is the same at every read."""
        ids = list(read.batch.ids)
        if not self.source.detector.schema.events[0].id.nullable and not self.source.detector.informs:
            return ids
        named = msgspec.json.Decoder(dict[str, Any]).decode
        for at, message in enumerate(read.rows.tolist()):
            if named(bodies[message]).get(self.source.detector.id) is None:
                ids[at] = f"{place['partition'][message]}-{place['offset'][message]}"
        return ids

    def _columns(self, read: ReadEvents, ids: list[str], bodies: list[bytes], place: dict[str, NDArray[Any]]) -> dict[str, Any]:
        batch, rows = read.batch, read.rows
        columns: dict[str, Any] = {
            "row": np.arange(len(batch), dtype=np.int32),
            "arrived_us": place["arrived_us"][rows],
            "partition": place["partition"][rows],
            "offset": place["offset"][rows],
            "time_us": batch.time_us,
            "kind": batch.kinds,
            "code": text_codes([self.salt + name for name in ids]),
            "id": pa.array(ids, pa.string()),
            "body": pa.array([bodies[row] for row in rows.tolist()], pa.binary()),
        }
        everything = np.arange(len(batch))
        for number, plan in enumerate(self.source.detector.plan.entities):
            keys = key_codes(plan, batch)
            found: dict[str, Any] = {f"key{role}": keys[:, role] for role in range(keys.shape[1])}
            found |= read_columns(Needs(self.source.detector, plan), batch, everything)
            columns |= {f"{number}.{name}": column for name, column in found.items()}
        return columns

    def _quarantined(self, bodies: list[bytes], read: ReadEvents) -> pa.Buffer:
        detector = self.source.detector
        found = []
        for at, refusal in read.refused:
            cause, field = refusal.detail, refusal.errors[0][0] if refusal.errors else None
            if len(bodies[at]) > LARGEST_BODY:
                cause = f"the message has {len(bodies[at]):,} bytes; an event has at most {LARGEST_BODY:,}"
                field = None
            body = masked_event(bodies[at][:_KEPT_OF_A_BODY], detector.schema).decode(errors="replace")
            found.append(msgspec.json.encode({"detector": detector.name, "cause": cause, "field": field, "body": body}))
        return pack({"body": pa.array(found, pa.binary())})


def _taken(column: Any, rows: NDArray[np.int64]) -> Any:
    return column.take(pa.array(rows)) if isinstance(column, pa.Array) else column[rows]
