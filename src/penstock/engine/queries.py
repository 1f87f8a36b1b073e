"""Questions to the records of a detector: decisions, the events that labels are about, values of a column."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.clock import Clock
from penstock.codes import text_codes
from penstock.decision import TEXT, Renderer, SplitRenderer, versions_of
from penstock.engine import records
from penstock.engine.active_detector import ActiveDetector
from penstock.engine.record_reader import RecordReader
from penstock.ledger import Claims, Ledger, LedgerLabel
from penstock.messages import Layout, Record, Type

if TYPE_CHECKING:
    from penstock.features.table import Table

LABELLED = ("decisions", "loaded")
"""The kinds of records whose events labels are about."""


class RecordQueries(RecordReader):
    """Read-only questions to the records of one detector."""

    def __init__(self, active: ActiveDetector, ledger: Ledger, claims: Claims, clock: Clock) -> None:
        super().__init__(active.name, ledger, lambda: self.columns, lambda: active.detector.plan.features)
        self._active, self._claims, self._clock = active, claims, clock
        self._layout: Layout | None = None
        self._matrix_columns: list[str] = []

    @property
    def columns(self) -> list[str]:
        """The names of the matrix columns, in their order."""
        layout = self._active.detector.plan.layout
        if layout is not self._layout:
            numbers = (column for column in layout.values() if column.type is not Type.TEXT)
            self._layout = layout
            self._matrix_columns = [column.name for column in sorted(numbers, key=lambda column: column.index)]
        return self._matrix_columns

    def held_back(self, record: Record, row: int) -> list[str]:
        """The rules that fired for an event and did not act on it."""
        names = self.names_of(record) or self.columns
        values: Any = record.columns["x"]
        fired = [name for name, value in zip(names, values[row], strict=True) if value == 1.0]
        found = (records.rule_of(name, names) for name in fired if not name.startswith("rule:"))
        return [rule for rule in found if rule is not None and f"rule:{rule}" not in fired]

    def names_of(self, record: Record) -> list[str] | None:
        """Names of a record's matrix columns; None if they are the current ones."""
        layout_id = record.meta.get("layout")
        if layout_id == self._active.format.layout_id or layout_id is None:
            return None
        return self.names_in(record)

    def events(self, transaction_ids: Sequence[str], known_us: Sequence[int] | None = None) -> list[tuple[Record, int] | None]:
        """The records that hold transactions, also ones that are not durable yet, each with its row; None for an unknown id.

        known_us: when something became known about each. Where an id came again after `dedupe`, the newest event that had
        happened by then is meant.
        """
        find = partial(self._ledger.find, self._active.name, kinds=LABELLED)
        seqs = self._claims.peek(text_codes(transaction_ids), np.full(len(transaction_ids), self._clock()))
        found = records.events_at(self._ledger, seqs)
        for place, transaction_id in enumerate(transaction_ids):
            at = found[place]
            if at is None or at[0].ids[at[1]] != transaction_id or at[0].kind not in LABELLED:
                found[place] = at = find(transaction_id)
            if at is not None and known_us is not None and at[0].time_us[at[1]] > known_us[place]:
                found[place] = find(transaction_id, until_us=known_us[place]) or at
        return found

    def label(self, record: Record, row: int) -> LedgerLabel | None:
        """The label that counts about one event, whose id others may have had before and after it; durable ones alone."""
        return self.labels_of([(record, row)]).get(record.first_seq + row)

    def labels_of(self, events: Sequence[tuple[Record, int]]) -> dict[int, LedgerLabel]:
        """The labels that count about events, by sequence number."""
        ids = [record.ids[row] for record, row in events]
        counting = {each.transaction_id: each for each in self._ledger.tables.labels_of(self._active.name, ids)}
        found: dict[int, LedgerLabel] = {}
        for (record, row), transaction_id in zip(events, ids, strict=True):
            label, seq = counting.get(transaction_id), record.first_seq + row
            if label is not None and not self._is_about(label, seq):
                label = max(reversed(self.labels(record, row)), key=lambda each: (each.rank, each.known_us), default=None)
            if label is not None:
                found[seq] = label
        return found

    def labels(self, record: Record, row: int) -> list[LedgerLabel]:
        """Every statement about one event, oldest first."""
        said = self._ledger.tables.label_history(self._active.name, record.ids[row])
        return [each for each in said if self._is_about(each, record.first_seq + row)]

    def _is_about(self, label: LedgerLabel, seq: int) -> bool:
        """Whether a label is about the event with this sequence number, and not about another one with its id."""
        find = partial(self._ledger.find, label.detector, label.transaction_id, LABELLED)
        found = find(until_us=label.known_us) or find()
        return found is None or found[0].first_seq + found[1] == seq

    def renderer_of(self, record: Record) -> Renderer | SplitRenderer:
        """The renderer in use where it made this record, else one for records like it."""
        current = self._active.format
        if (versions_of(record), record.meta["layout"]) == (current.versions, current.layout_id):
            return current.renderer
        return super().renderer_of(record)

    def transaction(self, transaction_id: str) -> bytes | None:
        """The recorded decision, as it was answered."""
        found = self._ledger.find(self._active.name, transaction_id)
        return self.render(found[0], [found[1]])[0] if found is not None else None


class KeyRows:
    """Finds the events of one key, in any of its roles, in recorded batches."""

    def __init__(self, queries: RecordQueries, table: "Table", key: str) -> None:
        self._queries = queries
        self._fields = [[column.name for column in columns] for columns in table.plan.keys]
        several = len(self._fields[0]) > 1
        self._values = key.split("|") if several else [key]

    def of(self, record: Record) -> list[int]:
        """The rows of a record that are about the key, in order."""
        if any(len(names) != len(self._values) for names in self._fields):
            return []
        found: set[int] = set()
        for names in self._fields:
            rows = [self._holding(record, name, value) for name, value in zip(names, self._values, strict=True)]
            found |= set.intersection(*rows)
        return sorted(found)

    def _holding(self, record: Record, name: str, value: str) -> set[int]:
        column = record.columns.get(TEXT + name)
        if isinstance(column, list):
            return {row for row, text in enumerate(column) if text == value}
        numbers = self._queries.numbers(record, name)
        try:
            return set() if numbers is None else set(np.flatnonzero(numbers == float(value)).tolist())
        except ValueError:
            return set()
