"""The ledger's SQL tables: the methods and statements that SQLite and PostgreSQL share; all statements are in `tables.sql`."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from string import Template
from typing import Any, ClassVar, TypeVar

import msgspec

from penstock.database.statements import statements
from penstock.decoding import prepared
from penstock.errors import LedgerError
from penstock.ledger.tables import (
    ArchiveField,
    Delivery,
    DetectorVersion,
    FallbackAnswer,
    LedgerLabel,
    Outcome,
    Quarantined,
    Raised,
)

Row = tuple[Any, ...]
Values = Mapping[str, Any]
Run = Callable[[str, Sequence[Values]], list[Row]]
"""Runs a statement by name, once for each of these values; returns the rows of the last one if there is one only."""

T = TypeVar("T")
_Layout = dict[str, list[ArchiveField]]


class SqlTables(ABC):
    """`Tables` by the statements of `tables.sql`. Any thread may call.

    words: what differs between servers: `among` these ids, the order of `row`s, and the `log` whose settings these are.
    """

    words: ClassVar[Mapping[str, str]]
    _log = 0

    @abstractmethod
    def _rows(self, query: str, /, **values: Any) -> list[Row]:
        """The rows of a query."""

    @abstractmethod
    def _transact(self, work: Callable[[Run], T]) -> T:
        """Run statements in one transaction, which may be tried twice."""

    @abstractmethod
    def _states(self, detector: str, transaction_ids: Sequence[str]) -> Iterable[Row]:
        """The rows of `labels_of`."""

    @abstractmethod
    def _json(self, value: Any) -> bytes | str:
        """JSON in the type of its columns."""

    def _write(self, *writes: tuple[str, Sequence[Values]]) -> None:
        self._transact(lambda run: [run(name, rows) for name, rows in writes])

    def quarantine(self, events: Sequence[Quarantined]) -> None:
        """Keep malformed events."""
        self._write(("quarantine", _values(events)))

    def quarantined(
        self, detector: str | None = None, *, limit: int = 100, before: int | None = None, received_us: int | None = None
    ) -> list[Quarantined]:
        """Malformed events, newest first."""
        rows = self._rows("quarantined", detector=detector, before=before, limit=limit, received_us=received_us)
        return [Quarantined(*row) for row in rows]

    def quarantine_count(self, detector: str | None = None) -> int:
        """How many are kept."""
        return int(self._rows("quarantine_count", detector=detector)[0][0])

    def trim_quarantine(self, detector: str, most: int) -> None:
        """Forget all but the newest."""
        self._write(("trim_quarantine", [{"detector": detector, "most": most}]))

    def forget_quarantined(self, ids: Sequence[int]) -> None:
        """Remove these."""
        self._write(("forget_quarantined", [{"id": each} for each in ids]))

    def put_labels(self, labels: Sequence[LedgerLabel]) -> None:
        """Add statements, and update the states they take precedence in."""
        rows = _values(labels)
        self._write(("add_to_history", rows), ("put_label", rows))

    def label_of(self, detector: str, transaction_id: str) -> LedgerLabel | None:
        """The state of a transaction."""
        return next(iter(self.labels_of(detector, [transaction_id])), None)

    def labels_of(self, detector: str, transaction_ids: Sequence[str]) -> list[LedgerLabel]:
        """The states of transactions."""
        return [_label(row) for row in self._states(detector, transaction_ids)]

    def label_history(self, detector: str, transaction_id: str) -> list[LedgerLabel]:
        """All statements about a transaction."""
        return [_label(row) for row in self._rows("label_history", detector=detector, transaction_id=transaction_id)]

    def put_answers(self, answers: Sequence[FallbackAnswer]) -> None:
        """Store the answers given to callers."""
        self._write(("put_answer", _values(answers)))

    def answer_of(self, detector: str, transaction_id: str) -> FallbackAnswer | None:
        """The answer given in place of the decision."""
        rows = self._rows("answer_of", detector=detector, transaction_id=transaction_id)
        return next((FallbackAnswer(*row) for row in rows), None)

    def put_version(self, version: DetectorVersion) -> None:
        """Remember a detector version."""
        self._write(("put_version", [{**msgspec.structs.asdict(version), "declared": self._json(version.declared)}]))

    def versions(self, detector: str | None = None) -> list[DetectorVersion]:
        """Versions seen, the oldest first."""
        rows = self._rows("versions", detector=detector)
        return [DetectorVersion(name, version, msgspec.json.decode(declared), seen) for name, version, declared, seen in rows]

    def put_alerts(self, alerts: Sequence[Raised], channels: Mapping[str, Sequence[str]]) -> set[str]:
        """Store new alerts, and their pending deliveries."""

        def put(run: Run) -> set[str]:
            new: set[str] = set()
            for alert in alerts:
                if run("put_alert", _values([alert])):
                    new.add(alert.key)
                    named = channels.get(alert.key, ())
                    run("put_delivery", _values([Delivery(alert.key, each, alert.at_us, 0, "waiting") for each in named]))
            return new

        return self._transact(put)

    def alerts(self, detector: str | None = None, *, limit: int = 100, before: int | None = None) -> list[Raised]:
        """Alerts, newest first."""
        return [Raised(*row) for row in self._rows("alerts", detector=detector, before=before, limit=limit)]

    def put_delivery(self, delivery: Delivery) -> None:
        """Record the result of a delivery."""
        self._write(("put_delivery", _values([delivery])))

    def deliveries(
        self, key: str | None = None, *, outcome: Outcome | None = None, since_us: int = 0, limit: int = 1000
    ) -> list[Delivery]:
        """Deliveries, newest first."""
        return [Delivery(*row) for row in self._rows("deliveries", key=key, outcome=outcome, since_us=since_us, limit=limit)]

    def put_layout(self, layout_id: str, columns: Mapping[str, Sequence[ArchiveField]]) -> None:
        """Register a layout; one that is known must be the same.

        Raises:
            LedgerError: the id is known with other columns.
        """
        wanted = {name: list(fields) for name, fields in columns.items()}
        known = self.layouts().get(layout_id)
        if known is not None and known != wanted:
            raise LedgerError(f"layout {layout_id!r} is registered with other columns; give changed columns a new layout id")
        if known is None:
            self._write(("put_layout", [{"layout_id": layout_id, "columns": self._json(wanted)}]))

    def layouts(self) -> dict[str, _Layout]:
        """All layouts."""
        return {name: msgspec.json.decode(columns, type=prepared(_Layout)) for name, columns in self._rows("layouts")}

    def put_setting(self, name: str, value: Any) -> None:
        """Keep a value that JSON can hold."""
        self._write(("put_setting", [{"log": self._log, "name": name, "value": self._json(value)}]))

    def setting(self, name: str, default: Any = None) -> Any:
        """A value kept before."""
        rows = self._rows("setting", log=self._log, name=name)
        return msgspec.json.decode(rows[0][0]) if rows else default


@cache
def statement(of: type[SqlTables], name: str) -> str:
    """A statement of `tables.sql` in the words of a server."""
    return Template(statements("penstock.ledger", "tables.sql")[name]).substitute(of.words)


def _values(structs: Iterable[msgspec.Struct]) -> list[Values]:
    return [msgspec.structs.asdict(each) for each in structs]


def _label(row: Row) -> LedgerLabel:
    detector, transaction_id, fraud, *rest = row
    return LedgerLabel(detector, transaction_id, bool(fraud), *rest)
