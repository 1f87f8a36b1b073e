"""The conditions of all alert rules of one detector, compiled into one program that runs over whole records."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from penstock.alerts.columns import Columns, Vocabulary
from penstock.expressions import Expression, assemble, parse
from penstock.messages import Batch, Layout, Type

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

    def rows(self, columns: Columns) -> dict[str, NDArray[np.intp]]:
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
