"""Columns of decision records by the names in alert rules, whichever version wrote them, and conditions over these columns."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.codes import text_codes
from penstock.decision.reasons import public, typed
from penstock.decision.record import TEXT, explanations_of
from penstock.decoding import prepared
from penstock.detector import Detector
from penstock.expressions import Expression, assemble, parse
from penstock.ledger import ArchiveField
from penstock.messages import Action, Batch, Explanation, Layout, Record, Type
from penstock.wording import Value

ACTIONS = tuple(action.name for action in Action)
_OF_DECISIONS = {"decision": Type.TEXT, "fraud_probability": Type.NUMBER, "degraded": Type.BOOLEAN}
_explanation = msgspec.json.Decoder(prepared(Explanation))

Layouts = Callable[[], Mapping[str, Mapping[str, Sequence[ArchiveField]]]]
"""Returns the layouts that a ledger knows."""


class Vocabulary:
    """The names that alert rules may read about a decision of one detector: its fields and features, and the outcome.

    scope: names and their types. `amount` is the money at stake, whatever the event calls it; `rule_NAME` tells whether
    a rule of the detector fired.
    """

    def __init__(self, detector: Detector) -> None:
        layout = detector.plan.layout
        own = {name: column.type for name, column in layout.items() if ":" not in name}
        fired = {f"rule_{rule.name}": Type.BOOLEAN for rule in detector.plan.rules}
        self.aliases = {"amount": detector.schema.amount} if detector.schema.amount and "amount" not in own else {}
        self.scope: dict[str, Type] = {**own, **fired, **dict.fromkeys(self.aliases, Type.NUMBER), **_OF_DECISIONS}

    def stored(self, name: str) -> str:
        """The ledger's name of a column."""
        return self.aliases.get(name) or name


class RecordColumns:
    """The rows of one record. Missing columns are null."""

    def __init__(self, record: Record, places: Mapping[str, int], vocabulary: Vocabulary) -> None:
        self.record = record
        self._columns: Any = record.columns
        self._places, self._vocabulary = places, vocabulary
        self._explanations: dict[int, bytes] | None = None

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A number, boolean or time of all rows; null is NaN."""
        if name == "fraud_probability":
            scores: NDArray[np.float64] = self._columns["scores"][:, 0]
            return scores
        if name == "degraded":
            causes = self._columns.get("degraded") or [None] * len(self.record)
            return np.array([cause is not None for cause in causes], np.float64)
        place = self._places.get(self._vocabulary.stored(name))
        if place is None:
            return np.full(len(self.record), np.nan)
        column: NDArray[np.float64] = self._columns["x"][:, place]
        return column

    def texts(self, name: str) -> Sequence[str | None]:
        """A text of all rows."""
        if name == "decision":
            return [ACTIONS[action] for action in self._columns["action"].tolist()]
        column: Sequence[str | None] = self._columns.get(TEXT + name) or [None] * len(self.record)
        return column

    def codes(self, name: str) -> NDArray[np.int64]:
        """A text of all rows, as codes."""
        if name == "decision":
            codes: NDArray[np.int64] = _action_codes()[self._columns["action"]]
            return codes
        return text_codes(self.texts(name))

    def keys(self, names: Sequence[str], rows: Sequence[int]) -> list[tuple[Any, ...]]:
        """The values of these columns in some rows; null is None."""
        return list(zip(*(self._some(name, rows) for name in names), strict=True))

    def _some(self, name: str, rows: Sequence[int]) -> list[Any]:
        if self._vocabulary.scope[name] is Type.TEXT:
            texts = self.texts(name)
            return [texts[row] for row in rows]
        numbers = self.numbers(name)[rows].tolist()
        return [number if number == number else None for number in numbers]  # noqa: PLR0124 -- NaN is not itself

    def value(self, name: str, row: int) -> Value:
        """One value, converted to its type."""
        if self._vocabulary.scope[name] is Type.TEXT:
            return self.texts(name)[row] if name != "decision" else self.decision(row)
        return typed(float(self.numbers(name)[row]), self._vocabulary.scope[name])

    def shown(self, name: str, row: int) -> bool | float | str | None:
        """One value in JSON's form."""
        return public(self.value(name, row))

    def decision(self, row: int) -> str:
        """The decision of a row."""
        return ACTIONS[int(self._columns["action"][row])]

    def reasons(self, row: int) -> list[str]:
        """The reasons of a row, in sentences; none for a plain approval."""
        if self._explanations is None:
            self._explanations = explanations_of(self.record) or {}
        body = self._explanations.get(row)
        return [] if body is None else [reason.text for reason in _explanation.decode(body).reasons]


class Places:
    """Column positions in records, by layout."""

    def __init__(self, layouts: Layouts) -> None:
        self._layouts = layouts
        self._known: dict[str, dict[str, int]] = {}

    def of(self, record: Record) -> Mapping[str, int]:
        """The positions in this record's matrix, by name."""
        layout_id = str(record.meta.get("layout"))
        if layout_id not in self._known:
            fields = self._layouts().get(layout_id, {}).get("x", ())
            self._known[layout_id] = {field.name: place for place, field in enumerate(fields) if field.name}
        return self._known[layout_id]


@cache
def _action_codes() -> NDArray[np.int64]:
    return text_codes(ACTIONS)


_TARGET = "when:"


class Conditions:
    """Evaluates conditions over the rows of a record.

    Args:
        conditions: SQL by the name of its rule, with the place that errors name.
        vocabulary: the names they may read.

    Raises:
        ExpressionError: one cannot be parsed, or reads an unknown name.
    """

    def __init__(self, conditions: Mapping[str, tuple[str, str]], vocabulary: Vocabulary) -> None:
        self.expressions: dict[str, Expression] = {
            name: parse(sql, vocabulary.scope, place=place, expect=Type.BOOLEAN) for name, (sql, place) in conditions.items()
        }
        reads = sorted(frozenset[str]().union(*(each.names for each in self.expressions.values())))
        self._layout = Layout()
        self._numbers = [name for name in reads if vocabulary.scope[name] is not Type.TEXT]
        self._texts = [name for name in reads if vocabulary.scope[name] is Type.TEXT]
        for name in (*self._numbers, *self._texts):
            self._layout.add(name, vocabulary.scope[name])
        self._targets = {name: self._layout.add(_TARGET + name, Type.BOOLEAN).index for name in self.expressions}
        items = [(expression, _TARGET + name) for name, expression in self.expressions.items()]
        self._program = assemble(items, self._layout) if items else None

    def reads(self, name: str) -> Sequence[str]:
        """The columns that the condition of a rule reads, sorted by name."""
        return sorted(self.expressions[name].names) if name in self.expressions else []

    def rows(self, columns: RecordColumns) -> dict[str, NDArray[np.intp]]:
        """For each rule, the rows for which its condition is true (null is not)."""
        if self._program is None:
            return {}
        record = columns.record
        n = len(record)
        x = np.empty((n, self._layout.width))
        for at, name in enumerate(self._numbers):
            x[:, at] = columns.numbers(name)
        codes = np.empty((n, self._layout.text_width), np.int64)
        for at, name in enumerate(self._texts):
            codes[:, at] = columns.codes(name)
        texts = {name: columns.texts(name) for name in self._texts if name in self._program.texts}
        kinds = np.zeros(n, np.uint8)
        self._program.run(Batch(record.ids, kinds, record.time_us, record.arrived_us, x, codes, texts))
        return {name: np.flatnonzero(x[:, at] == 1.0) for name, at in self._targets.items()}
