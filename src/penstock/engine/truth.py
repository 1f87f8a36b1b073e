"""Labels: who says what about a transaction, which statement counts, and when it enters state."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from penstock.clock import from_us, iso, to_us
from penstock.codes import text_codes
from penstock.ingest import Read
from penstock.ingest.field import Field
from penstock.ingest.refusals import time_fault
from penstock.ingest.times import FIRST_US, instants
from penstock.ledger import Label
from penstock.messages import Batch, Record, Refusal, Type

if TYPE_CHECKING:
    from penstock.engine.engine import Engine, OnDurable

UNKNOWN = "unknown"
"""The source of a label that names none."""

_KEPT = ("decisions", "loaded")


class Statement(msgspec.Struct):
    """A label as submitted."""

    transaction_id: str
    fraud: bool
    detector: str | None = None
    kind: str | None = None
    known_at: datetime | None = None
    source: str | None = None


class _Written(msgspec.Struct):
    """The same before its time is read."""

    transaction_id: str
    fraud: bool
    detector: str | None = None
    kind: str | None = None
    known_at: str | int | float | None = None
    source: str | None = None


_statements = msgspec.json.Decoder(list[msgspec.Raw])
_written = msgspec.json.Decoder(_Written)
_KNOWN_AT = Field("known_at", "known_at", Type.TIME, nullable=True)


class Truth:
    """The labels of one engine.

    Every statement is written to the log, with what it changed: +1 a fraud became known, -1 one was taken back. Of
    several about one transaction, that of the most trusted source counts, then the latest.
    """

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._on_the_way: dict[str, Label] = {}
        label = engine.detector.label
        self._ranks = {source: len(label.sources) - i for i, source in enumerate(label.sources)} if label else {}

    # ---- statements

    def tell(
        self,
        transaction_id: str,
        *,
        fraud: bool,
        known_us: int | None,
        kind: str | None = None,
        source: str = UNKNOWN,
        on_durable: "OnDurable | None" = None,
    ) -> Refusal | None:
        """Take in one statement; None where it was accepted."""
        engine = self._engine
        found = engine.look.event(transaction_id)
        if found is None:
            text = f"there is no transaction {transaction_id!r} of detector {engine.detector.name!r} to label"
            return Refusal(404, text, (("transaction_id", text),))
        now = engine.clock()
        label = Label(
            detector=engine.detector.name,
            transaction_id=transaction_id,
            fraud=fraud,
            kind=kind or ("fraud" if fraud else "good"),
            source=source,
            known_us=known_us if known_us is not None else now,
            received_us=now,
            rank=self._ranks.get(source, 0),
        )
        before = self._on_the_way.get(transaction_id) or engine.ledger.tables.label_of(engine.detector.name, transaction_id)
        counts = before is None or (label.rank, label.known_us) >= (before.rank, before.known_us)
        change = int(fraud) - int(before.fraud if before else False) if counts else 0
        if counts:
            self._on_the_way[transaction_id] = label
        # without a time of its own a label is known as of the newest event: it precedes whatever comes next
        effective_us = known_us if known_us is not None else engine.path.state.clock_us
        record, row = found
        batch = engine.rebuilding.with_derived(record, row)
        engine.path.pending.add(effective_us, change, record.first_seq + row, batch, 0)
        self._append([label], [effective_us], [change], [record.first_seq + row], on_durable)
        return None

    def tell_json(self, body: bytes, on_durable: "OnDurable | None") -> list[dict[str, Any] | Refusal]:
        """Take in one statement as JSON, or an array of them."""
        zone = self._engine.detector.schema.naive_times
        answers = [told if isinstance(told, Refusal) else self._tell(told) for told in read_statements(body, zone)]
        self._when_durable(on_durable)
        return answers

    def _tell(self, statement: Statement) -> "dict[str, Any] | Refusal":
        known_us = to_us(statement.known_at) if statement.known_at else None
        refused = self.tell(
            statement.transaction_id,
            fraud=statement.fraud,
            known_us=known_us,
            kind=statement.kind,
            source=statement.source or UNKNOWN,
        )
        if refused is not None:
            return refused
        known_at = iso(known_us) if known_us is not None else iso(self._engine.clock())
        return {"transaction_id": statement.transaction_id, "fraud": statement.fraud, "known_at": known_at, "accepted": True}

    def _when_durable(self, on_durable: "OnDurable | None") -> None:
        if on_durable is not None:
            self._engine.ledger.when_durable(on_durable)

    # ---- labels of recorded history

    def recorded(self, batch: Batch, first_seq: int, read: Read) -> None:
        """The frauds of loaded history become known when they did, or the declared delay after their event."""
        declared = self._engine.detector.label
        fraud, known = read.labels
        if declared is None or fraud is None:
            return
        known_us = batch.time_us + declared.delay_us
        if known is not None:
            known_us = np.where(known >= 0, known, known_us)
        frauds = np.flatnonzero(fraud == 1.0).tolist()
        if not frauds:
            return
        labels = []
        for row in frauds:
            at = int(known_us[row])
            labels.append(Label(self._engine.detector.name, batch.ids[row], True, "fraud", "recorded", at, at))
            self._engine.path.pending.add(at, 1, first_seq + row, batch, row)
        self._append(labels, [label.known_us for label in labels], [1] * len(labels), [first_seq + row for row in frauds], None)

    # ---- the log

    def _append(
        self,
        labels: Sequence[Label],
        effective_us: Sequence[int],
        changes: Sequence[int],
        seqs: Sequence[int],
        done: "OnDurable | None",
    ) -> None:
        ledger = self._engine.ledger

        def durable(error: BaseException | None) -> None:
            if error is None:
                ledger.tables.put_labels(labels)
                for label in labels:
                    if self._on_the_way.get(label.transaction_id) is label:
                        del self._on_the_way[label.transaction_id]
            if done is not None:
                done(error)

        ids = [label.transaction_id for label in labels]
        columns: dict[str, Any] = {
            "fraud": np.array([label.fraud for label in labels], np.uint8),
            "change": np.array(changes, np.int8),
            "seq": np.array(seqs, np.int64),
            "known_us": np.array([label.known_us for label in labels], np.int64),
            "rank": np.array([label.rank for label in labels], np.int64),
            "kind": [label.kind for label in labels],
            "source": [label.source for label in labels],
        }
        arrived = np.array([label.received_us for label in labels], np.int64)
        times = np.array(effective_us, np.int64)
        name = self._engine.detector.name
        ledger.append(Record("labels", name, ledger.next_seq, ids, text_codes(ids), times, arrived, columns), durable)

    def keep(self, record: Record) -> None:
        """Keep again the labels of a record that was written before a restart, or by another engine."""
        columns: Any = record.columns
        self._engine.ledger.tables.put_labels(
            [
                Label(
                    record.detector,
                    transaction_id,
                    bool(columns["fraud"][row]),
                    columns["kind"][row],
                    columns["source"][row],
                    int(columns["known_us"][row]),
                    int(record.arrived_us[row]),
                    int(columns["rank"][row]),
                )
                for row, transaction_id in enumerate(record.ids)
            ]
        )


def read_statements(body: bytes, zone: str | None) -> list[Statement | Refusal]:
    """The labels of a body that is one, or an array of them; in its place, why one cannot be read.

    zone: of times that come without one; they are refused where it is None.
    """
    parts = _parts(body)
    return [parts] if isinstance(parts, Refusal) else [_read(part, zone) for part in parts]


def _read(part: bytes, zone: str | None) -> Statement | Refusal:
    try:
        written = _written.decode(part)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Refusal(422, f"this is no label: {error}", ((_field_of(str(error)), str(error)),))
    known_at = None
    if written.known_at is not None:
        fault = time_fault(_KNOWN_AT, written.known_at, zone, FIRST_US)
        if fault is not None:
            return Refusal(422, fault, (("known_at", fault),))
        known_at = from_us(int(instants([written.known_at], zone)[0][0]))
    return Statement(written.transaction_id, written.fraud, written.detector, written.kind, known_at, written.source)


def _parts(body: bytes) -> "list[bytes] | Refusal":
    """The objects of a body that is one, or an array of them."""
    if body.lstrip()[:1] != b"[":
        return [body]
    try:
        return [bytes(part) for part in _statements.decode(body)]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Refusal(400, f"the body is not JSON: {error}")


def _field_of(message: str) -> str | None:
    """The field that a msgspec message is about."""
    for mark in ("missing required field `", "at `$."):
        if mark in message:
            return message.split(mark)[1].split("`", maxsplit=1)[0]
    return None
