"""The SQL source that a backtest reads, and the check of its condition."""

from collections.abc import Sequence
from typing import Protocol

import polars as pl

from penstock.detector import Detector
from penstock.errors import DataError
from penstock.expressions import Expression, parse
from penstock.messages import Type

ASKED = ("allow", "challenge", "review", "block")
"""What a condition may ask for."""


class QuerySource(Protocol):
    """A source of SQL over recorded decisions: `penstock.ledger.archive.Archive`, or the archive of an object store."""

    def query(self, sql: str) -> pl.DataFrame:
        """The result of one SELECT."""
        ...


class NotRecorded(DataError):
    """The condition needs columns that no recorded decision has; `names` lists them. A replay computes them."""

    def __init__(self, detector: str, names: Sequence[str]) -> None:
        listed = ", ".join(names)
        super().__init__(f"{listed}: not recorded with the decisions of {detector!r}; a replay computes features that are new")
        self.names = tuple(names)


def condition_of(detector: Detector, when: str) -> Expression:
    """The condition, checked against the fields and features of a detector.

    Raises:
        ExpressionError: naming the part at fault.
    """
    scope = {name: column.type for name, column in detector.plan.layout.items() if ":" not in name}
    return parse(when, scope, place="condition", expect=Type.BOOLEAN, lists=detector.lists)
