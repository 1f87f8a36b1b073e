"""The ledger of an engine whose log is a journal on a broker.

A local `FileLedger` holds the committed records, for all readers. An owner's appends are gathered in a unit instead, and
reach the local files only when the broker has committed it: so the files are always a prefix of the journal, whatever
crashes, and never hold a decision that was not committed.
"""

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from penstock.errors import LedgerError
from penstock.ledger import ArchiveField, Claims, Ledger, Tables
from penstock.ledger.port import DECISIONS, Done
from penstock.messages import Record

Gathered = list[tuple[int, Record, Done | None]]
"""Records of a unit, each with its position and its callback."""


class JournalLedger:
    """A `Ledger` over a local one that mirrors the journal.

    Between `gather` and `gathered` appended records are held back; `committed` writes them. At other times records are
    appended as they are: a follower's come from the journal. One thread appends; another may call `committed`.
    """

    def __init__(self, local: Ledger) -> None:
        self.local = local
        self._changed = threading.Condition()
        self._position, self._next_seq = local.position, local.next_seq
        self._open: Gathered | None = None
        self._flying: list[tuple[int, Record]] = []
        self._appender = 0
        self._abandoned = False

    # ------------------------------------------------------------ units

    def gather(self) -> None:
        """Hold back appended records from now on."""
        self._open, self._appender = [], threading.get_ident()

    def gathered(self) -> Gathered:
        """The held records; further ones are appended as they are."""
        found, self._open = self._open or [], None
        return found

    def committed(self, records: Gathered) -> None:
        """Write the records of a unit that the broker has committed."""
        for _, record, _ in records:
            self.local.append(record)
        with self._changed:
            self._flying = self._flying[len(records) :]
            self._changed.notify_all()
        for _, _, done in records:
            if done is not None:
                done(None)

    def abandon(self) -> None:
        """Discard held and pending records, because another owner has taken over; the ledger stays readable."""
        with self._changed:
            self._flying, self._abandoned = [], True
            self._changed.notify_all()

    # ------------------------------------------------------------ appending

    def append(self, record: Record, done: Done | None = None) -> int:
        """See `Ledger.append`."""
        if record.first_seq != self._next_seq:
            raise ValueError(f"a record begins at sequence number {record.first_seq}, the next one is {self._next_seq}")
        position = self._position
        if self._open is None:
            self.local.append(record, done)
        else:
            self._open.append((position, record, done))
            with self._changed:
                self._flying.append((position, record))
        self._position += 1
        self._next_seq += len(record)
        return position

    def when_durable(self, done: Done) -> None:
        """See `Ledger.when_durable`: an answer that repeats a pending decision waits for its unit."""
        if self._open is not None and self._open:
            position, record, earlier = self._open[-1]
            self._open[-1] = position, record, _both(earlier, done)
        else:
            self.local.when_durable(done)

    def flush(self) -> None:
        """Return when everything appended so far is committed and stored here.

        The thread that gathers a unit does not wait for its own held records, which would be a deadlock.

        Raises:
            LedgerError: some of it was abandoned, or cannot be stored.
        """
        unit = self._open
        mine = threading.get_ident() == self._appender and unit
        last = self._position - (len(unit) if mine and unit else 0)
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or not self._flying or self._flying[0][0] >= last)
            if self._abandoned and self.local.position < last:
                raise LedgerError("another owner has taken over; what was decided last does not count")
        self.local.flush()

    # ------------------------------------------------------------ reading, pending records included

    def record_of(self, seq: int) -> tuple[Record, int] | None:
        """See `Ledger.record_of`."""
        for _, record in self._in_flight():
            if record.first_seq <= seq < record.first_seq + len(record):
                return record, seq - record.first_seq
        return self.local.record_of(seq)

    def find(
        self, detector: str, transaction_id: str, kinds: Collection[str] = DECISIONS, *, until_us: int | None = None
    ) -> tuple[Record, int] | None:
        """See `Ledger.find`; pending records are found by the thread that gathers them, which decides on top of them."""
        if threading.get_ident() == self._appender:
            for _, record in reversed(self._in_flight()):
                if record.kind in kinds and record.detector == detector and transaction_id in record.ids:
                    return record, record.ids.index(transaction_id)
        return self.local.find(detector, transaction_id, kinds, until_us=until_us)

    def _in_flight(self) -> list[tuple[int, Record]]:
        with self._changed:
            return list(self._flying)

    # ------------------------------------------------------------ delegated to the local ledger

    @property
    def tables(self) -> Tables:
        """The local tables."""
        return self.local.tables

    @property
    def trouble(self) -> LedgerError | None:
        """Why nothing can be stored here now; None if it can."""
        return self.local.trouble

    @property
    def first_position(self) -> int:
        """The position of the oldest record here."""
        return self.local.first_position

    @property
    def position(self) -> int:
        """The position of the next record."""
        return self._position

    @property
    def durable_position(self) -> int:
        """Records before this one are committed and stored here."""
        return self.local.durable_position

    @property
    def sealed_position(self) -> int:
        """Records before this one are in sealed files."""
        return self.local.sealed_position

    @property
    def next_seq(self) -> int:
        """The sequence number of the next row."""
        return self._next_seq

    @property
    def cut_bytes(self) -> int:
        """Bytes cut off the end of the local files when they were opened."""
        return int(getattr(self.local, "cut_bytes", 0))

    def claims(self, detector: str, dedupe_us: int) -> Claims:
        """See `Ledger.claims`."""
        return self.local.claims(detector, dedupe_us)

    def read(self, from_position: int = 0, kinds: Collection[str] | None = None) -> Iterator[tuple[int, Record]]:
        """See `Ledger.read`."""
        return self.local.read(from_position, kinds)

    def recent(
        self, detector: str, *, limit: int | None = None, before: int | None = None, kinds: Collection[str] = DECISIONS
    ) -> Iterator[tuple[Record, int]]:
        """See `Ledger.recent`."""
        return self.local.recent(detector, limit=limit, before=before, kinds=kinds)

    def register_layout(self, layout_id: str, columns: Mapping[str, Sequence[ArchiveField]]) -> None:
        """See `Ledger.register_layout`."""
        self.local.register_layout(layout_id, columns)

    def layouts(self) -> Mapping[str, Mapping[str, Sequence[ArchiveField]]]:
        """See `Ledger.layouts`."""
        return self.local.layouts()

    def close(self) -> None:
        """Close the local ledger; uncommitted records are dropped."""
        self.abandon()
        self.local.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _both(first: Done | None, second: Done) -> Done:
    """A callback that calls both."""
    if first is None:
        return second

    def done(error: BaseException | None) -> None:
        first(error)
        second(error)

    return done
