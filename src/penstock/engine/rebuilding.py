"""From a log back to the state it made: after a restart, for a verification, and beside a state that lives on."""

from typing import Any

from penstock.engine import records
from penstock.engine.path import Path
from penstock.ledger import Ledger
from penstock.messages import Batch, Record

ENTERED = ("decisions", "informing", "loaded")
"""Kinds of records whose events are in state."""


class Rebuilding:
    """Lets the records of a log into the state of a path, as they were let in when they were written.

    Args:
        path: whose state it is; may be of another version of the detector than the log's.
        ledger: holds the log.
    """

    def __init__(self, path: Path, ledger: Ledger) -> None:
        self._path, self._ledger = path, ledger
        self._names: dict[str, list[str]] = {}

    def names_of(self, record: Record) -> list[str] | None:
        """What the matrix columns of a record are called; None where only the event's own are known, by their places."""
        layout_id = record.meta.get("layout")
        if layout_id is None:
            return None
        if layout_id not in self._names:
            self._names[layout_id] = [field.name for field in self._ledger.layouts()[layout_id]["x"]]
        return self._names[layout_id]

    def apply(self, record: Record) -> Batch | None:
        """Let one record into state; what it says of labels is expected. Returns its events, where it has any."""
        if record.kind == "labels":
            self._expect_all(record)
        elif record.kind in ENTERED:
            batch = records.batch_of(record, self._path.detector, self.names_of(record))
            self._path.features(batch, record.first_seq, read=False)
            return batch
        return None

    def _expect_all(self, record: Record) -> None:
        columns: Any = record.columns
        for row, known_us in enumerate(record.time_us.tolist()):
            self.expect(known_us, int(columns["change"][row]), int(columns["seq"][row]))

    def expect(self, known_us: int, change: int, seq: int) -> None:
        """Expect a label of the event with this sequence number."""
        found = self._ledger.record_of(seq) if change and self._path.pending.matter else None
        if found is not None:
            self._path.pending.add(known_us, change, seq, self.with_derived(*found), 0)

    def events_of(self, record: Record) -> Batch:
        """The events of a record with their fields and what is derived from them, as the kernel saw them."""
        batch = records.batch_of(record, self._path.detector, self.names_of(record))
        for step in self._path.plan.before:
            step.run(batch)
        return batch

    def with_derived(self, record: Record, row: int) -> Batch:
        """One event of a record, likewise."""
        return self.events_of(records.row_of(record, row))
