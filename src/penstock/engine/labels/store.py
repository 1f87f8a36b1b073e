"""Labels: who says what about a transaction, which statement counts, and when it enters state."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from penstock.clock import Clock, iso
from penstock.codes import text_codes
from penstock.decoding import prepared
from penstock.engine.active_detector import ActiveDetector
from penstock.engine.queries import RecordQueries
from penstock.ingest import ReadEvents
from penstock.ingest.field import Field
from penstock.ingest.kernel import END_US, READ
from penstock.ingest.refusals import time_fault
from penstock.ingest.times import FIRST_US, instants
from penstock.ingest.worded import worded
from penstock.ledger import Ledger, LedgerLabel
from penstock.messages import Batch, Record, Refusal, Type

UNKNOWN = "unknown"
"""The source of a label that names none."""

_KEPT = ("decisions", "loaded")


class Statement(msgspec.Struct):
    """A label as submitted."""

    transaction_id: str
    fraud: bool
    detector: str | None = None
    kind: str | None = None
    known_us: int | None = None
    source: str | None = None


class _AcceptedLabel(msgspec.Struct):
    """A label in JSON, its time not read yet."""

    transaction_id: str
    fraud: bool
    detector: str | None = None
    kind: str | None = None
    known_at: str | int | float | None = None
    source: str | None = None


_statements = msgspec.json.Decoder(list[msgspec.Raw])
_written = msgspec.json.Decoder(prepared(_AcceptedLabel))
_KNOWN_AT = Field("known_at", "known_at", Type.TIME, nullable=True)


MAX_CHARACTERS = 200
"""The longest id, kind and source of a label: as long as the id of a transaction."""


class LabelStore:
    """The labels of one detector.

    Every statement is written to the log, with what it changed: +1 a fraud became known, -1 one was taken back. Of
    several about one transaction, that of the most trusted source counts, then the latest.
    """

    def __init__(self, active: ActiveDetector, ledger: Ledger, queries: RecordQueries, clock: Clock) -> None:
        self._active, self._ledger, self._queries, self._clock = active, ledger, queries, clock
        self._on_the_way: dict[int, LedgerLabel] = {}
        label = active.detector.label
        self._ranks = {source: len(label.sources) - i for i, source in enumerate(label.sources)} if label else {}

    # ---- statements

    def submit(self, statements: Sequence[Statement]) -> list[LedgerLabel | Refusal]:
        """Take in statements, in order, as one record of the log; in the place of each, its label or why it is refused."""
        now = self._clock()
        known_us = [now if each.known_us is None else each.known_us for each in statements]
        events = self._queries.events([statement.transaction_id for statement in statements], known_us)
        current = self._current([event for event in events if event is not None])
        answers: list[LedgerLabel | Refusal] = []
        labels: list[LedgerLabel] = []
        changes: list[tuple[int, int, tuple[Record, int]]] = []
        for statement, event in zip(statements, events, strict=True):
            too_long = _too_long(statement)
            if too_long is not None:
                answers.append(too_long)
                continue
            if event is None:
                answers.append(self._unknown(statement.transaction_id))
                continue
            early = self._too_early(statement, *event)
            if early is not None:
                answers.append(early)
                continue
            label = self._label(statement, now)
            # without its own time a label is known as of the newest event: it precedes whatever comes next
            effective_us = label.known_us if statement.known_us is not None else self._active.pipeline.state.clock_us
            changes.append((effective_us, self._change(label, event[0].first_seq + event[1], current), event))
            labels.append(label)
            answers.append(label)
        if labels:
            self._active.rebuild.expect_of(changes)
            effective, change, found = zip(*changes, strict=True)
            self._append(labels, effective, change, [record.first_seq + row for record, row in found])
        return answers

    def _unknown(self, transaction_id: str) -> Refusal:
        text = f"there is no transaction {transaction_id!r} of detector {self._active.name!r} to label"
        return Refusal(404, text, (("transaction_id", text),))

    def _too_early(self, statement: Statement, record: Record, row: int) -> Refusal | None:
        """Why a label is refused that was known before its event, by more than clocks may differ."""
        if statement.known_us is None:
            return None
        happened_us = min(int(record.time_us[row]), int(record.arrived_us[row]))
        if statement.known_us >= happened_us - self._active.detector.skew_us:
            return None
        text = (
            f"known_at is {iso(statement.known_us)}, before transaction {statement.transaction_id!r} happened"
            f" ({iso(happened_us)}): nobody can have known then; send when it became known"
        )
        return Refusal(422, text, (("known_at", text),))

    def _label(self, statement: Statement, now: int) -> LedgerLabel:
        source = statement.source or UNKNOWN
        return LedgerLabel(
            detector=self._active.name,
            transaction_id=statement.transaction_id,
            fraud=statement.fraud,
            kind=statement.kind or ("fraud" if statement.fraud else "good"),
            source=source,
            known_us=statement.known_us if statement.known_us is not None else now,
            received_us=now,
            rank=self._ranks.get(source, 0),
        )

    def _current(self, events: Sequence[tuple[Record, int]]) -> dict[int, LedgerLabel]:
        """The labels that count so far, by the sequence number of their event."""
        on_the_way = {
            seq: self._on_the_way[seq] for record, row in events if (seq := record.first_seq + row) in self._on_the_way
        }
        others = [(record, row) for record, row in events if record.first_seq + row not in on_the_way]
        return self._queries.labels_of(others) | on_the_way

    def _change(self, label: LedgerLabel, seq: int, current: dict[int, LedgerLabel]) -> int:
        """The change of the fraud count by a label: +1, -1 if a fraud is withdrawn, or 0."""
        before = current.get(seq)
        if before is not None and (label.rank, label.known_us) < (before.rank, before.known_us):
            return 0
        current[seq] = self._on_the_way[seq] = label
        return int(label.fraud) - int(before is not None and before.fraud)

    def submit_json(self, bodies: Sequence[bytes]) -> list[list[LedgerLabel | Refusal]]:
        """Take in labels as JSON, each body one or an array of them; for each body its labels, or why they are refused."""
        read = read_statements(bodies, self._active.detector.schema.naive_times)
        answer = iter(self.submit([each for part in read for each in part if isinstance(each, Statement)]))
        return [[next(answer) if isinstance(each, Statement) else each for each in part] for part in read]

    # ---- labels of recorded history

    def applied(self, read: ReadEvents, kind: str, first_seq: int) -> None:
        """The frauds of loaded history become known when they did, or the declared delay after their event."""
        declared, batch = self._active.detector.label, read.batch
        fraud, known = read.labels
        if kind != "loaded" or declared is None or fraud is None:
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
            labels.append(LedgerLabel(self._active.name, batch.ids[row], True, "fraud", "recorded", at, at))
            self._active.pipeline.pending.add(at, 1, first_seq + row, batch, row)
        self._append(labels, [label.known_us for label in labels], [1] * len(labels), [first_seq + row for row in frauds])

    # ---- the log

    def _append(
        self,
        labels: Sequence[LedgerLabel],
        effective_us: Sequence[int],
        changes: Sequence[int],
        seqs: Sequence[int],
    ) -> None:
        ledger = self._ledger

        def durable(error: BaseException | None) -> None:
            if error is None:
                ledger.tables.put_labels(labels)
                for seq, label in zip(seqs, labels, strict=True):
                    if self._on_the_way.get(seq) is label:
                        del self._on_the_way[seq]

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
        name = self._active.name
        ledger.append(Record("labels", name, ledger.next_seq, ids, text_codes(ids), times, arrived, columns), durable)

    def recorded(self, record: Record, _names: Sequence[str], _events: Batch | None) -> None:
        """Keep again the labels of a record that was written before a restart, or by another engine."""
        if record.kind != "labels":
            return
        columns: Any = record.columns
        self._ledger.tables.put_labels(
            [
                LedgerLabel(
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


def answer_of(answer: LedgerLabel | Refusal) -> dict[str, Any] | Refusal:
    """The answer to a label, for its caller."""
    if isinstance(answer, Refusal):
        return answer
    known_at = iso(answer.known_us)
    return {"transaction_id": answer.transaction_id, "fraud": answer.fraud, "known_at": known_at, "accepted": True}


def read_statements(bodies: Sequence[bytes], zone: str | None) -> list[list[Statement | Refusal]]:
    """The labels of bodies, each one label or an array of them; in its place, why one cannot be read.

    zone: of times that come without one; they are refused where it is None.
    """
    parts = [_parts(body) for body in bodies]
    written = [[part] if isinstance(part, Refusal) else [_read(each) for each in part] for part in parts]
    given = [each.known_at for part in written for each in part if isinstance(each, _AcceptedLabel)]
    instant_us, states = instants(given, zone)
    times = zip(instant_us.tolist(), states.tolist(), strict=True)
    return [[each if isinstance(each, Refusal) else _statement(each, next(times), zone) for each in part] for part in written]


def _read(part: bytes) -> _AcceptedLabel | Refusal:
    try:
        written = _written.decode(part)
    except msgspec.ValidationError as error:
        fault = worded(error, part)
        return Refusal(422, fault[1], (fault,))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Refusal(422, f"the label is not JSON: {error}", ((None, str(error)),))
    return _too_long(written) or written


def _too_long(said: Statement | _AcceptedLabel) -> Refusal | None:
    """The refusal of a label of which a name is too long."""
    for name, text in (("transaction_id", said.transaction_id), ("kind", said.kind), ("source", said.source)):
        if text is not None and len(text) > MAX_CHARACTERS:
            message = f"{name} has {len(text):,} characters and at most {MAX_CHARACTERS} are accepted; send a shorter one"
            return Refusal(422, message, ((name, message),))
    return None


def _statement(written: _AcceptedLabel, time: tuple[int, int], zone: str | None) -> Statement | Refusal:
    """A label with the instant and the state of its time."""
    known_us: int | None = None
    if written.known_at is not None:
        known_us, state = time
        if state != READ or not FIRST_US <= known_us < END_US:
            fault = str(time_fault(_KNOWN_AT, written.known_at, zone, FIRST_US))
            return Refusal(422, fault, (("known_at", fault),))
    return Statement(written.transaction_id, written.fraud, written.detector, written.kind, known_us, written.source)


def _parts(body: bytes) -> "list[bytes] | Refusal":
    """The objects of a body that is one, or an array of them."""
    if body.lstrip()[:1] != b"[":
        return [body]
    try:
        return [bytes(part) for part in _statements.decode(body)]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Refusal(400, f"the body is not JSON: {error}")
