"""The port of the ledger's SQL tables: labels, quarantine, alerts, detector versions, layouts, settings. `sqlite.SqliteTables`

is the embedded implementation. Writes are durable when the call returns, and idempotent, so that a log can be replayed
after a crash.

A port: `sqlite.SqliteTables` is the embedded implementation. Every write is durable when the call returns and every
write may be repeated, so that a log that is replayed after a crash can be applied again.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

FieldType = Literal["number", "integer", "boolean", "time", "text"]


class ArchiveField(msgspec.Struct, frozen=True):
    """The archive's name and type of a number column of a record.

    type: number (NaN is null), integer, boolean (1, 0, NaN is null), time (microseconds since 1970, NaN is null), or
    text: then the numbers count into `values`. An empty name leaves the column out.
    """

    name: str
    type: FieldType = "number"
    values: tuple[str, ...] = ()


class Quarantined(msgspec.Struct, frozen=True):
    """A malformed event: why it was refused, and its bytes (masked by the caller)."""

    detector: str
    received_us: int
    cause: str
    field: str | None
    body: bytes
    id: int = 0


class LedgerLabel(msgspec.Struct, frozen=True):
    """A label from one source. rank: precedence among sources, higher wins; then the later `known_us`."""

    detector: str
    transaction_id: str
    fraud: bool
    kind: str
    source: str
    known_us: int
    received_us: int
    rank: int = 0


class FallbackAnswer(msgspec.Struct, frozen=True):
    """The answer given to a caller in place of a decision that missed the caller's deadline."""

    detector: str
    transaction_id: str
    decision: str
    cause: str
    answered_us: int


class DetectorVersion(msgspec.Struct, frozen=True):
    """A declaration that was served, as data, and when it was first seen."""

    detector: str
    version: str
    declared: Any
    first_seen_us: int


class Raised(msgspec.Struct, frozen=True):
    """A raised alert. key: its permanent identity, so that it is raised once. body: as sent, in JSON."""

    key: str
    detector: str
    rule: str
    severity: str
    at_us: int
    body: bytes
    id: int = 0


Outcome = Literal["waiting", "delivered", "failed"]


class Delivery(msgspec.Struct, frozen=True):
    """The state of an alert's delivery through one channel, at `at_us`: the number of attempts, and the error."""

    key: str
    channel: str
    at_us: int
    attempts: int
    outcome: Outcome
    detail: str = ""


class Tables(Protocol):
    """The port of the ledger's small SQL tables.

    Any method raises `LedgerFull` where the device has no room, `LedgerError` where it does not answer.
    """

    def quarantine(self, events: Sequence[Quarantined]) -> None:
        """Keep malformed events; `id` is given here."""

    def quarantined(
        self, detector: str | None = None, *, limit: int = 100, before: int | None = None, received_us: int | None = None
    ) -> list[Quarantined]:
        """Malformed events with an id below `before`, received at that very instant or at any, newest first."""

    def quarantine_count(self, detector: str | None = None) -> int:
        """How many are kept."""

    def trim_quarantine(self, detector: str, most: int) -> None:
        """Delete all but a number of the newest entries of one detector."""

    def forget_quarantined(self, ids: Sequence[int]) -> None:
        """Remove these malformed events for good."""

    def put_labels(self, labels: Sequence[LedgerLabel]) -> None:
        """Add statements to the history, and let each be the state of its transaction where it takes precedence."""

    def label_of(self, detector: str, transaction_id: str) -> LedgerLabel | None:
        """The state of a transaction: the statement that takes precedence."""

    def labels_of(self, detector: str, transaction_ids: Sequence[str]) -> list[LedgerLabel]:
        """The states of those of these transactions that have one, in any order."""

    def label_history(self, detector: str, transaction_id: str) -> list[LedgerLabel]:
        """All statements about a transaction, in the order they were received."""

    def put_answers(self, answers: Sequence[FallbackAnswer]) -> None:
        """Store the answers given to callers; the first answer about a transaction counts."""

    def answer_of(self, detector: str, transaction_id: str) -> FallbackAnswer | None:
        """The answer given in place of the decision; None if the decision came in time."""

    def put_version(self, version: DetectorVersion) -> None:
        """Remember a detector version; the first call for it counts."""

    def versions(self, detector: str | None = None) -> list[DetectorVersion]:
        """Versions seen, the oldest first."""

    def put_alerts(self, alerts: Sequence[Raised], channels: Mapping[str, Sequence[str]]) -> set[str]:
        """Keep the alerts whose keys are new, with a waiting delivery for each channel named for their key, all or nothing.

        Returns the keys that were new; `id` is given here.
        """

    def alerts(self, detector: str | None = None, *, limit: int = 100, before: int | None = None) -> list[Raised]:
        """Alerts with an id below `before`, newest first."""

    def put_delivery(self, delivery: Delivery) -> None:
        """Record the result of a delivery, replacing an earlier one."""

    def deliveries(
        self, key: str | None = None, *, outcome: Outcome | None = None, since_us: int = 0, limit: int = 1000
    ) -> list[Delivery]:
        """Deliveries of one alert or of all, with one outcome or any, since an instant; the newest first."""

    def put_layout(self, layout_id: str, columns: Mapping[str, Sequence[ArchiveField]]) -> None:
        """See `Ledger.register_layout`."""

    def layouts(self) -> dict[str, dict[str, list[ArchiveField]]]:
        """All layouts."""

    def put_setting(self, name: str, value: Any) -> None:
        """Keep a value that JSON can hold."""

    def setting(self, name: str, default: Any = None) -> Any:
        """A value kept before."""

    def close(self) -> None:
        """Close; twice is fine."""
