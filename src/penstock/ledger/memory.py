"""The in-memory ledger: the reference implementation, used by an engine without a data folder."""

import bisect
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

import numpy as np

from penstock.errors import LedgerError
from penstock.ledger.claims import Claims
from penstock.ledger.encoding import check_shape
from penstock.ledger.identities import INDEXED
from penstock.ledger.port import DECISIONS, Done
from penstock.ledger.sqlite import SqliteTables
from penstock.ledger.tables import ArchiveField, Tables
from penstock.messages import Record


class MemoryLedger:
    """`Ledger` in memory: records count as durable at once, and `done` is called within `append`.

    Records are kept as they are, some 500 to 1,500 bytes for each decision, and never dropped: neither encoding nor
    compressing them keeps a decision in memory fast. To simulate a full disk, set `trouble`: then `done` receives it, and
    later records wait until it is None again.
    """

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._first_seqs: list[int] = []
        self._held: list[Record] = []
        self._seqs: dict[tuple[str, str], list[int]] = {}
        self._indexed = 0
        self._indexing = threading.Lock()
        self._claims: dict[str, Claims] = {}
        self._tables = SqliteTables()
        self._trouble: LedgerError | None = None
        self._next_seq = 0
        self._closed = False

    @property
    def tables(self) -> Tables:
        """SQL tables in memory."""
        return self._tables

    @property
    def trouble(self) -> LedgerError | None:
        """None, unless a test set it."""
        return self._trouble

    @trouble.setter
    def trouble(self, error: LedgerError | None) -> None:
        self._trouble = error
        if error is None:
            held, self._held = self._held, []
            for record in held:
                self._store(record)

    @property
    def first_position(self) -> int:
        """0: nothing is ever forgotten."""
        return 0

    @property
    def position(self) -> int:
        """The position of the next record."""
        return len(self._records) + len(self._held)

    @property
    def durable_position(self) -> int:
        """Records before this one are stored."""
        return len(self._records)

    @property
    def sealed_position(self) -> int:
        """Records before this one are stored."""
        return len(self._records)

    @property
    def next_seq(self) -> int:
        """The sequence number of the next row."""
        return self._next_seq

    def append(self, record: Record, done: Done | None = None) -> int:
        """See `Ledger.append`."""
        if self._closed:
            raise LedgerError("the ledger in memory is closed; nothing can be appended")
        check_shape(record)
        if record.first_seq != self._next_seq:
            raise ValueError(f"a record begins at sequence number {record.first_seq}, the next one is {self._next_seq}")
        position = self.position
        self._next_seq += len(record)
        if self._trouble is None:
            self._store(record)
        else:
            self._held.append(record)
        if done is not None:
            done(self._trouble)
        return position

    def _store(self, record: Record) -> None:
        self._records.append(record)
        self._first_seqs.append(record.first_seq)

    def _index(self) -> None:
        """Index the ids appended since the last look-up, which is rarer than an append."""
        with self._indexing:
            while self._indexed < len(self._records):
                record = self._records[self._indexed]
                if record.kind in INDEXED:
                    for row, transaction_id in enumerate(record.ids):
                        self._seqs.setdefault((record.detector, transaction_id), []).append(record.first_seq + row)
                self._indexed += 1

    def when_durable(self, done: Done) -> None:
        """See `Ledger.when_durable`."""
        done(self._trouble)

    def flush(self) -> None:
        """See `Ledger.flush`."""
        if self._trouble is not None:
            raise self._trouble

    def claims(self, detector: str, dedupe_us: int) -> Claims:
        """See `Ledger.claims`."""
        if detector not in self._claims:
            records = [r for _, r in self.read(kinds=INDEXED) if r.detector == detector and len(r)]
            newest_us = max((int(record.arrived_us.max()) for record in records), default=0)
            claims = self._claims[detector] = Claims(dedupe_us, newest_us=newest_us)
            for record in records:
                claims.restore(record.codes, record.arrived_us, np.arange(record.first_seq, record.first_seq + len(record)))
        return self._claims[detector]

    def find(
        self, detector: str, transaction_id: str, kinds: Collection[str] = DECISIONS, *, until_us: int | None = None
    ) -> tuple[Record, int] | None:
        """See `Ledger.find`."""
        self._index()
        for seq in reversed(self._seqs.get((detector, transaction_id), [])):
            record, row = self._stored(seq)
            if record.kind in kinds and (until_us is None or record.time_us[row] <= until_us):
                return record, row
        return None

    def _stored(self, seq: int) -> tuple[Record, int]:
        k = bisect.bisect_right(self._first_seqs, seq) - 1
        record = self._records[k]
        return record, seq - record.first_seq

    def record_of(self, seq: int) -> tuple[Record, int] | None:
        """See `Ledger.record_of`."""
        for record in self._held:
            if record.first_seq <= seq < record.first_seq + len(record):
                return record, seq - record.first_seq
        return self._stored(seq) if 0 <= seq < self._next_seq else None

    def read(self, from_position: int = 0, kinds: Collection[str] | None = None) -> Iterator[tuple[int, Record]]:
        """See `Ledger.read`."""
        position = from_position
        while position < len(self._records):
            record = self._records[position]
            if kinds is None or record.kind in kinds:
                yield position, record
            position += 1

    def recent(
        self, detector: str, *, limit: int | None = None, before: int | None = None, kinds: Collection[str] = DECISIONS
    ) -> Iterator[tuple[Record, int]]:
        """See `Ledger.recent`."""
        top = self._next_seq if before is None else before
        left = self._next_seq if limit is None else limit
        for position in reversed(range(bisect.bisect_left(self._first_seqs, top))):
            record = self._records[position]
            if record.kind not in kinds or record.detector != detector:
                continue
            for row in reversed(range(min(len(record), top - record.first_seq))):
                if left <= 0:
                    return
                yield record, row
                left -= 1

    def register_layout(self, layout_id: str, columns: Mapping[str, Sequence[ArchiveField]]) -> None:
        """See `Ledger.register_layout`."""
        self._tables.put_layout(layout_id, columns)

    def layouts(self) -> Mapping[str, Mapping[str, Sequence[ArchiveField]]]:
        """See `Ledger.layouts`."""
        return self._tables.layouts()

    def close(self) -> None:
        """See `Ledger.close`."""
        self._closed = True
        self._tables.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
