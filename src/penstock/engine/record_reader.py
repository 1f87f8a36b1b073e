"""Reading of records without an engine: the names of their columns, and their JSON."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from penstock.decision import TEXT, Renderer, SplitRenderer, versions_of
from penstock.decision.record import DECIDED_BY
from penstock.decision.split_renderer import deciding_version
from penstock.engine import records
from penstock.ledger import Ledger
from penstock.messages import Record, Versions


class RecordReader:
    """Reads and renders the records of one detector by what they and their ledger say of themselves: no engine is needed.

    Args:
        name: of the detector. ledger: holds layouts and versions, those of later records, too.
        columns: returns the names of matrix columns of records that name no layout.
        features: returns the names of the features of versions that do not list theirs.
    """

    def __init__(
        self, name: str, ledger: Ledger, columns: Callable[[], list[str]], features: Callable[[], Sequence[str]]
    ) -> None:
        self._name, self._ledger, self._columns, self._features = name, ledger, columns, features
        self._names: dict[str, list[str]] = {}
        self._renderers: dict[tuple[Versions, str], Renderer] = {}

    def names_in(self, record: Record) -> list[str]:
        """Names of a record's matrix columns. Thread-safe, also while the detector changes."""
        layout_id = record.meta.get("layout")
        if layout_id is None:
            return self._columns()
        if layout_id not in self._names:
            fields = self._ledger.layouts()[layout_id]["x"]
            self._names[layout_id] = [
                field.name.replace("rule_", "rule:", 1) if field.name.startswith("rule_") else field.name for field in fields
            ]
        return self._names[layout_id]

    def render(self, record: Record, rows: Sequence[int]) -> list[bytes]:
        """Decisions of a record as JSON, as they were answered: detector, models and rules may have changed since."""
        return self.renderer_of(record).render(record, rows)

    def renderer_of(self, record: Record) -> Renderer | SplitRenderer:
        """The renderer for records like this one."""
        versions, layout_id = versions_of(record), record.meta["layout"]
        ours = self._kept(versions, layout_id)
        if DECIDED_BY not in record.columns:
            return ours
        challenger = deciding_version(record)
        if challenger is None:
            return ours
        return SplitRenderer(ours, self._kept(msgspec.structs.replace(versions, model=challenger), layout_id))

    def _kept(self, versions: Versions, layout_id: str) -> Renderer:
        if (versions, layout_id) not in self._renderers:
            self._renderers[versions, layout_id] = self._renderer_of_old(versions, layout_id)
        return self._renderers[versions, layout_id]

    def _renderer_of_old(self, versions: Versions, layout_id: str) -> Renderer:
        """The renderer for records that store their explanations; it needs only their columns."""
        fields = self._ledger.layouts()[layout_id]
        layout = records.layout_of(fields)
        declared = [each.declared for each in self._ledger.tables.versions(self._name)]
        features = next((each["features"] for each in declared if each.get("layout") == layout_id and "features" in each), None)
        if features is None:
            features = [name for name in self._features() if name in layout]
        members = [field.name.removeprefix("score_") for field in fields["scores"][1:]]
        return Renderer(self._name, layout, versions, (), features, members=members)

    def numbers(self, record: Record, name: str) -> Any:
        """A column of a record's matrix; None where the record has none of this name."""
        names, x = self.names_in(record), record.columns["x"]
        return x[:, names.index(name)] if name in names else None  # type: ignore[call-overload]  # a matrix

    def value(self, record: Record, row: int, name: str) -> float | str | None:
        """A field or feature of a recorded event; None where it is null, or unknown to this record."""
        column = record.columns.get(TEXT + name)
        if isinstance(column, list):
            return column[row]
        numbers = self.numbers(record, name)
        value = math.nan if numbers is None else float(numbers[row])
        return None if math.isnan(value) else value
