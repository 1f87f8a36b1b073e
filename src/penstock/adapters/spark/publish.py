"""The messages of a micro-batch: decisions, refused events, and the journal for stores and replicas.

The journal has the format of a worker's (`penstock.stream`): records in sequence order, each start with a fencing number.
So every follower of a worker can follow Spark: the ledger in PostgreSQL, Redis, the archive, alerts, an API.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa

from penstock.adapters.spark.blocks import unpack
from penstock.adapters.spark.outbox import Noted, SparkOutbox
from penstock.adapters.spark.source import DetectorSource
from penstock.engine import Engine
from penstock.ledger import Quarantined
from penstock.ledger.encoding import header_of, renumbered
from penstock.stream.entry import JournalEntry
from penstock.stream.entry import encode as encode_entry
from penstock.stream.port import Outgoing


@dataclass(frozen=True)
class PublishResult:
    """The result of a micro-batch. sent: False if it had been sent before."""

    batch: int
    decisions: int
    quarantined: int
    sent: bool


class Publisher:
    """Sends the results of micro-batches. owner: the name of the stream in its journal."""

    def __init__(self, outbox: SparkOutbox, source: DetectorSource, owner: str) -> None:
        self._outbox, self._source, self._owner = outbox, source, owner
        self._engine = Engine(source.detector, models=source.ensemble, personal_key=source.personal_key, wait_for_models=True)
        self.fence = outbox.noted.fence + 1
        self._claimed = False

    def publish(self, batch: int, rows: Sequence[Any]) -> PublishResult:
        """Send a micro-batch: rows of `decide.DONE`, in sequence order."""
        decisions = [pair for row in rows if row.kind == "decisions" for pair in _pairs(row.data)]
        refused = [body for row in rows if row.kind == "quarantine" for body in _column(row.data, "body")]
        frames = [bytes(row.data) for row in rows if row.kind == "record"]
        noted, entries = self._journal(frames, refused)
        sent = self._outbox.send(batch, self._messages(decisions, refused, entries), noted)
        self._claimed |= sent
        return PublishResult(batch, len(decisions), len(refused), sent)

    def _messages(self, decisions: list[tuple[str, bytes]], refused: list[bytes], entries: list[bytes]) -> Iterator[Outgoing]:
        for id_, body in decisions:
            yield Outgoing("decisions", id_, body)
        for body in refused:
            yield Outgoing("quarantine", self._source.detector.name, body)
        for entry in entries:
            yield Outgoing("journal", "", entry)

    def _journal(self, frames: list[bytes], refused: list[bytes]) -> tuple[Noted, list[bytes]]:
        """The journal entries of a micro-batch, one for each record, and the next position."""
        position, seq = self._outbox.noted.position, self._outbox.noted.seq
        entries = [] if self._claimed else [self._claim()]
        for frame in frames:
            header = header_of(frame)
            assert header is not None
            entries.append(JournalEntry(fence=self.fence, frames=[renumbered(frame, position, seq)]))
            position, seq = position + 1, seq + header.rows
        if refused:
            entries.append(JournalEntry(fence=self.fence, quarantined=[self._kept(body) for body in refused]))
        return Noted(position, seq, self.fence), [encode_entry(entry) for entry in entries]

    def _claim(self) -> JournalEntry:
        """The first entry of a start: the writer, and the column names of records."""
        engine, name = self._engine, self._source.detector.name
        return JournalEntry(
            fence=self.fence,
            owner=self._owner,
            layouts={engine.active.format.layout_id: engine.ledger.layouts()[engine.active.format.layout_id]},
            versions=engine.ledger.tables.versions(name),
        )

    def _kept(self, body: bytes) -> Quarantined:
        said = msgspec.json.decode(body)
        return Quarantined(said["detector"], self._engine.clock(), said["cause"], said["field"], said["body"].encode())


def _pairs(data: bytearray) -> list[tuple[str, bytes]]:
    return list(zip(_column(data, "id"), _column(data, "body"), strict=True))


def _column(data: bytearray, name: str) -> list[Any]:
    found: list[Any] = unpack(pa.py_buffer(bytes(data))).column(name).to_pylist()
    return found
