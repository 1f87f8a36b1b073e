"""The ledger's SQL tables (labels, quarantine, alerts, settings) in PostgreSQL; all statements are in `tables.sql`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from penstock.adapters.postgres.connection import Connection, Shared
from penstock.adapters.postgres.statements import statements
from penstock.errors import LedgerError
from penstock.ledger import Answered, Delivery, DetectorVersion, Field, Label, Outcome, Quarantined, Raised

_Layout = dict[str, list[Field]]
_NO_NUL = str.maketrans("\0", "\u2400")


def kept(text: str) -> str:
    """The text as PostgreSQL can hold it: the character U+0000, which it cannot, is shown as U+2400."""
    return text.translate(_NO_NUL) if "\0" in text else text


class PostgresTables:
    """`Tables` on a connection that threads share. log: whose settings these are."""

    def __init__(self, url: str, log: int) -> None:
        self._server = Shared(url)
        self._log = log

    def _write(self, *writes: tuple[str, Iterable[Sequence[Any]]]) -> None:
        """Statements by name, each for many rows, in one transaction."""

        def work(db: Connection) -> None:
            with db.transaction():
                for name, rows in writes:
                    put(db, name, rows)

        self._server.use(work)

    def _rows(self, name: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        return self._server.rows(statements("tables.sql")[name], values)

    def quarantine(self, events: Sequence[Quarantined]) -> None:
        """Keep malformed events."""
        self._write(("quarantine", [(e.detector, e.received_us, e.cause, e.field, e.body) for e in events]))

    def quarantined(
        self, detector: str | None = None, *, limit: int = 100, before: int | None = None, received_us: int | None = None
    ) -> list[Quarantined]:
        """Malformed events, newest first."""
        asked = {"detector": detector, "before": before, "limit": limit, "received_us": received_us}
        return [Quarantined(*row) for row in self._rows("quarantined", asked)]

    def quarantine_count(self, detector: str | None = None) -> int:
        """How many are kept."""
        return int(self._rows("quarantine_count", {"detector": detector})[0][0])

    def trim_quarantine(self, detector: str, most: int) -> None:
        """Forget all but the newest."""
        self._write(("trim_quarantine", [(detector, detector, most)]))

    def forget_quarantined(self, ids: Sequence[int]) -> None:
        """Remove these."""
        self._write(("forget_quarantined", [(each,) for each in ids]))

    def put_labels(self, labels: Sequence[Label]) -> None:
        """Add statements, and update the states they take precedence in."""
        rows = [msgspec.structs.astuple(label) for label in labels]
        self._write(("add_to_history", rows), ("put_label", rows))

    def label_of(self, detector: str, transaction_id: str) -> Label | None:
        """The state of a transaction."""
        return next(iter(self.labels_of(detector, [transaction_id])), None)

    def labels_of(self, detector: str, transaction_ids: Sequence[str]) -> list[Label]:
        """The states of transactions."""
        return [Label(*row) for row in self._rows("labels_of", (detector, [kept(each) for each in transaction_ids]))]

    def label_history(self, detector: str, transaction_id: str) -> list[Label]:
        """All statements about a transaction."""
        return [Label(*row) for row in self._rows("label_history", (detector, kept(transaction_id)))]

    def put_answers(self, answers: Sequence[Answered]) -> None:
        """Store the answers given to callers."""
        self._write(("put_answer", map(msgspec.structs.astuple, answers)))

    def answer_of(self, detector: str, transaction_id: str) -> Answered | None:
        """The answer given in place of the decision."""
        return next((Answered(*row) for row in self._rows("answer_of", (detector, kept(transaction_id)))), None)

    def put_version(self, version: DetectorVersion) -> None:
        """Remember a detector version."""
        declared = msgspec.json.encode(version.declared)
        self._write(("put_version", [(version.detector, version.version, declared, version.first_seen_us)]))

    def versions(self, detector: str | None = None) -> list[DetectorVersion]:
        """Versions seen, the oldest first."""
        rows = self._rows("versions", {"detector": detector})
        return [DetectorVersion(name, version, msgspec.json.decode(declared), seen) for name, version, declared, seen in rows]

    def put_alerts(self, alerts: Sequence[Raised], channels: Mapping[str, Sequence[str]]) -> set[str]:
        """Store new alerts, and their pending deliveries."""
        put_alert = statements("tables.sql")["put_alert"].encode()

        def work(db: Connection) -> set[str]:
            new: set[str] = set()
            with db.transaction():
                for alert in alerts:
                    row = (alert.key, alert.detector, alert.rule, alert.severity, alert.at_us, alert.body)
                    if db.execute(put_alert, row).fetchall():
                        new.add(alert.key)
                        named = channels.get(alert.key, ())
                        put(db, "put_delivery", [(alert.key, channel, alert.at_us, 0, "waiting", "") for channel in named])
            return new

        return self._server.use(work)

    def alerts(self, detector: str | None = None, *, limit: int = 100, before: int | None = None) -> list[Raised]:
        """Alerts, newest first."""
        return [Raised(*row) for row in self._rows("alerts", {"detector": detector, "before": before, "limit": limit})]

    def put_delivery(self, delivery: Delivery) -> None:
        """Record the result of a delivery."""
        self._write(("put_delivery", [msgspec.structs.astuple(delivery)]))

    def deliveries(
        self, key: str | None = None, *, outcome: Outcome | None = None, since_us: int = 0, limit: int = 1000
    ) -> list[Delivery]:
        """Deliveries, newest first."""
        wanted = {"key": key, "outcome": outcome, "since_us": since_us, "limit": limit}
        return [Delivery(*row) for row in self._rows("deliveries", wanted)]

    def put_layout(self, layout_id: str, columns: Mapping[str, Sequence[Field]]) -> None:
        """Register a layout; one that is known must be the same.

        Raises:
            LedgerError: the id is known with other columns.
        """
        wanted = {name: list(fields) for name, fields in columns.items()}
        known = self.layouts().get(layout_id)
        if known is not None and known != wanted:
            raise LedgerError(f"layout {layout_id!r} is registered with other columns; give changed columns a new layout id")
        if known is None:
            self._write(("put_layout", [(layout_id, msgspec.json.encode(wanted))]))

    def layouts(self) -> dict[str, _Layout]:
        """All layouts."""
        return {name: msgspec.json.decode(columns, type=_Layout) for name, columns in self._rows("layouts")}

    def put_setting(self, name: str, value: Any) -> None:
        """Keep a value that JSON can hold."""
        self._write(("put_setting", [(self._log, name, msgspec.json.encode(value))]))

    def setting(self, name: str, default: Any = None) -> Any:
        """A value kept before."""
        rows = self._rows("setting", (self._log, name))
        return msgspec.json.decode(rows[0][0]) if rows else default

    def close(self) -> None:
        """Close; twice is fine."""
        self._server.close()


def put(db: Connection, name: str, rows: Iterable[Sequence[Any]]) -> None:
    """Execute a named statement for each of these rows, in the transaction that is open."""
    clean = [[kept(value) if isinstance(value, str) else value for value in row] for row in rows]
    if clean:
        db.cursor().executemany(statements("tables.sql")[name].encode(), clean)
