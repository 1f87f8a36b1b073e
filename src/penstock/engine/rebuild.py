"""Rebuilding state from the log: for recovery, verification and backfill."""

from collections.abc import Sequence
from typing import Any

from penstock.engine import records
from penstock.engine.pipeline import Pipeline
from penstock.ledger import Ledger
from penstock.messages import Batch, Record

ENTERED = ("decisions", "informing", "loaded")
"""Kinds of records whose events enter state."""


class Rebuild:
    """Applies records of a log to the state of a pipeline, as when they were written.

    Args:
        path: whose state it is; may be of another version of the detector than the log's.
        ledger: holds the log.
    """

    def __init__(self, path: Pipeline, ledger: Ledger) -> None:
        self._pipeline, self._ledger = path, ledger
        self._names: dict[str, list[str]] = {}

    def names_of(self, record: Record) -> list[str] | None:
        """Names of a record's matrix columns; None if only the event's own are known, by position."""
        layout_id = record.meta.get("layout")
        if layout_id is None:
            return None
        if layout_id not in self._names:
            self._names[layout_id] = [field.name for field in self._ledger.layouts()[layout_id]["x"]]
        return self._names[layout_id]

    def apply(self, record: Record) -> Batch | None:
        """Apply one record, with its labels. Returns its events, if it has any."""
        if record.kind == "labels":
            columns: Any = record.columns
            self.expect(record.time_us.tolist(), columns["change"].tolist(), columns["seq"].tolist())
        elif record.kind in ENTERED:
            batch = records.batch_of(record, self._pipeline.detector, self.names_of(record))
            self._pipeline.features(batch, record.first_seq, read=False, closed=records.closed_of(record))
            return batch
        return None

    def expect(self, known_us: Sequence[int], changes: Sequence[int], seqs: Sequence[int]) -> None:
        """Expect labels of the events with these sequence numbers, in this order; without effect for events that are gone."""
        if self._pipeline.pending.matter:
            events = records.events_at(self._ledger, [seq if change else -1 for seq, change in zip(seqs, changes, strict=True)])
            labels = zip(known_us, changes, events, strict=True)
            self.expect_of([(known, change, event) for known, change, event in labels if event is not None])

    def expect_of(self, labels: Sequence[tuple[int, int, tuple[Record, int]]]) -> None:
        """Expect labels in this order: when each becomes known, what it changes, and the record and row of its event."""
        labels = [each for each in labels if each[1]] if self._pipeline.pending.matter else ()
        rows: dict[int, tuple[Record, list[int]]] = {}
        places = []
        for _, _, (record, row) in labels:
            _, of_record = rows.setdefault(id(record), (record, []))
            places.append(len(of_record))
            of_record.append(row)
        batches = {key: self.events_of(records.rows_of(record, of_record)) for key, (record, of_record) in rows.items()}
        for place, (known_us, change, (record, row)) in zip(places, labels, strict=True):
            self._pipeline.pending.add(known_us, change, record.first_seq + row, batches[id(record)], place)

    def events_of(self, record: Record) -> Batch:
        """The events of a record with their fields and what is derived from them, as the kernel saw them."""
        batch = records.batch_of(record, self._pipeline.detector, self.names_of(record))
        for step in self._pipeline.plan.before:
            step.run(batch)
        return batch
