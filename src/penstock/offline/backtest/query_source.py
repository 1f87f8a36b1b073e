"""The SQL source that backtests and trials read, the recorded decisions in it, and the check of a condition."""

from collections.abc import Sequence
from typing import Protocol

import polars as pl

from penstock.detector import Detector
from penstock.engine.statistics.distribution import worth_of
from penstock.errors import DataError
from penstock.expressions import Expression, parse
from penstock.messages import Type
from penstock.offline.sql_templates import NO_LABELS, filled, quoted, text

ASKED = ("allow", "challenge", "review", "block")
"""What a condition may ask for."""


_VIEWS = ("decisions", "labels", "informing", "loaded", "quarantine")


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


def view_of(detector: str) -> str:
    """The view with the decisions of a detector: named for it, unless the archive has another view of that name."""
    return "decisions" if detector in _VIEWS else detector


class RecordedDecisions:
    """The recorded decisions of one detector, and the queries of one SQL file on them.

    columns: their types by name; empty if nothing was decided. shared: whether the view has decisions of others too.
    labelled: whether there can be labels; has_labels: whether there
    are, which a subclass finds out. worth: the column of amounts. mature_us: of older events all labels are known.
    """

    def __init__(self, archive: QuerySource, detector: Detector, now_us: int, package: str, file: str) -> None:
        self._archive, self._package, self._file = archive, package, file
        self.detector, self.now_us = detector, now_us
        self.table, self.shared = view_of(detector.name), detector.name in _VIEWS
        found = archive.query(filled("penstock.offline", "truth.sql", "columns", table=text(self.table))).rows()
        self.columns = {name: kind for table, name, kind in found if table == self.table}
        self.labelled = bool(self.columns) and any(each[:2] == ("labels", "fraud") for each in found)
        self.has_labels = False
        self.mine = f"detector = {text(detector.name)}"
        worth, _ = worth_of(detector)
        self.worth = worth if worth in self.columns else None
        self.mature_us = now_us - (detector.label.delay_us if detector.label is not None else 0)

    def filled(self, name: str, **values: object) -> str:
        """One of the queries."""
        return filled(self._package, self._file, name, **{"table": quoted(self.table), "mine": self.mine, **values})

    def ask(self, name: str, **values: object) -> pl.DataFrame:
        """The result of one of the queries."""
        return self._archive.query(self.filled(name, **values))

    def labels(self) -> str:
        """The query of the labels that count."""
        given = {"mine": self.mine, "now_us": self.now_us, "table": quoted(self.table)}
        return filled("penstock.offline", "truth.sql", "labels", **given)

    def ask_truth(self, name: str, **values: object) -> pl.DataFrame:
        """The result of a query about known outcomes."""
        known = {"has_labels": "true" if self.has_labels else "false", "mature_us": self.mature_us}
        return self.ask(
            name,
            labels=self.labels() if self.has_labels else NO_LABELS,
            truth=filled("penstock.offline", "truth.sql", "truth", **known),
            worth=quoted(self.worth) if self.worth else "CAST(NULL AS DOUBLE)",
            **known,
            **values,
        )
