"""The ledger port: the obligations of a store of decisions, and the guarantees to its callers. A ledger is one ordered log of

records (`messages.Record`: a micro-batch of one kind, as columns), read by position or by transaction id. Each record has a
*position*, its ordinal number from 0; each row of a record has a *sequence number*, and the rows of all records, of every
kind and detector, are numbered without gaps in the order they were appended. Labels, quarantine, alerts and settings are in
`Ledger.tables`.

A ledger is one ordered log of records (`messages.Record`: a micro-batch of one kind, as columns) with two ways in:
by place and by transaction id. Each record has a *position*, its ordinal number from 0; each row of a record has a
*sequence number*, and the rows of all records, of every kind and detector, are numbered without gaps in the order
they were appended. What people edit or look up in tables stands in `Ledger.tables`.

Durability. `append` takes a record and returns at once. The ledger makes it durable together with the other waiting
records, and then calls `done(None)`: from that moment no crash of the process loses it. Records become durable in the order
they were appended, and `done` is called in that order, exactly once each, from the ledger's own thread; it must be short
and must not wait for the ledger. Records without `done` are fine.

Trouble. If the device refuses (no room, an input/output error), every waiting `done` is called with the error, so that
nobody acknowledges; the records themselves stay in memory and are tried again about four times a second. So a living
process never drops an appended record: the state that the engine computed from a record and the log agree again as soon as
there is room, without a restart, and a caller that sends the id again gets the first decision. While there is trouble,
`trouble` holds the error: ask it *before* deciding a batch, and refuse the batch if it is set. After `append` the record is
the ledger's; neither the caller nor the ledger changes it.

Back-pressure. While `pending_rows` rows wait (default: 65,536) and there is no trouble, `append` blocks until some are
durable. A killed process loses at most the records for which `done(None)` was not called.

Threads. One thread appends and uses the claims; `done` is called from another; reads may be called from any thread and see
durable records only, except `record_of`, which also returns waiting ones.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from penstock.errors import LedgerError
from penstock.ledger.claims import Claims
from penstock.ledger.tables import ArchiveField, Tables
from penstock.messages import Record

Done = Callable[[BaseException | None], None]
"""Called once a record is durable (None), or could not be made so yet (the error)."""

DECISIONS: Collection[str] = ("decisions",)


class Ledger(Protocol):
    """A store of decisions. `MemoryLedger` is the reference, `FileLedger` the embedded one."""

    @property
    def tables(self) -> Tables:
        """The SQL tables: labels, quarantine, versions, layouts, settings."""

    @property
    def trouble(self) -> LedgerError | None:
        """Why nothing can be made durable at present (`LedgerFull`, `LedgerError`); None when all is well."""

    @property
    def first_position(self) -> int:
        """The oldest record the ledger still holds; older ones were forgotten."""

    @property
    def position(self) -> int:
        """The position the next appended record will take."""

    @property
    def durable_position(self) -> int:
        """Records before this one are durable."""

    @property
    def sealed_position(self) -> int:
        """Records before this one lie where nothing is written any more: they may be archived."""

    @property
    def next_seq(self) -> int:
        """The sequence number the next appended row must take."""

    def append(self, record: Record, done: Done | None = None) -> int:
        """Take a record and return its position; `done` is called once it is durable. See "Durability" above.

        Looking at one row later decompresses the whole record: keep to about a thousand rows.

        Raises:
            ValueError: the parts of the record do not fit together, or `first_seq` is not `next_seq`.
            LedgerError: the ledger is closed.
        """

    def when_durable(self, done: Done) -> None:
        """Call `done` once everything appended so far is durable: for an answer that repeats a decision on its way."""

    def flush(self) -> None:
        """Return when everything appended so far is durable.

        Raises:
            LedgerError: it could not be made durable.
        """

    def claims(self, detector: str, dedupe_us: int) -> Claims:
        """The deduplication index of a detector, with the ledger's ids; one per detector, created on the first call."""

    def find(
        self, detector: str, transaction_id: str, kinds: Collection[str] = DECISIONS, *, until_us: int | None = None
    ) -> tuple[Record, int] | None:
        """The durable record of these kinds (among `decisions`, `informing`, `loaded`) that holds an id, and its row.

        The newest, where an id came again after `dedupe`; with `until_us` the newest that happened by then. Takes less than
        a millisecond, however long the log is.
        """

    def record_of(self, seq: int) -> tuple[Record, int] | None:
        """The record that holds a sequence number, and its row; also one that is not durable yet."""

    def read(self, from_position: int = 0, kinds: Collection[str] | None = None) -> Iterator[tuple[int, Record]]:
        """Durable records in order, with their positions; optionally of some kinds only.

        Raises:
            LedgerDamaged: a record does not fit its checksum.
        """

    def recent(
        self, detector: str, *, limit: int | None = None, before: int | None = None, kinds: Collection[str] = DECISIONS
    ) -> Iterator[tuple[Record, int]]:
        """Durable rows of a detector, newest first, below the sequence number `before`; read lazily."""

    def register_layout(self, layout_id: str, columns: Mapping[str, Sequence[ArchiveField]]) -> None:
        """Register the archive's column names for records with `meta["layout"] == layout_id`.

        columns: for each column of the record, one `ArchiveField` per matrix column (one for a plain array or texts). What
        is not named keeps its own name. Registering the same again changes nothing.

        Raises:
            LedgerError: the id is known with other columns.
        """

    def layouts(self) -> Mapping[str, Mapping[str, Sequence[ArchiveField]]]:
        """All layouts registered."""

    def close(self) -> None:
        """Make waiting records durable, and release the folder. May be called twice.

        Raises:
            LedgerError: something could not be made durable.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
