"""The ledger of an engine in PostgreSQL."""

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from penstock.adapters.postgres.connection import connect, explained, place_of
from penstock.adapters.postgres.layouts import Shapes
from penstock.adapters.postgres.migrations import check
from penstock.adapters.postgres.reading import LogReader
from penstock.adapters.postgres.store import Store, Written, logs_with_records
from penstock.adapters.postgres.tables import PostgresTables
from penstock.clock import Clock, system_clock
from penstock.codes import text_code
from penstock.errors import Fenced, FolderInUse, LedgerError, PenstockError
from penstock.ledger import ArchiveField, Claims, DetectorVersion, RecentRecords, Tables
from penstock.ledger.encoding import Header, check_shape
from penstock.ledger.port import DECISIONS, Done
from penstock.ledger.recent_records import MOST_RECORDS
from penstock.ledger.writer import Writer
from penstock.messages import Record

OWN = "engine"
"""The name of the log that engines have for themselves; what workers keep goes by the names of their detectors."""


def logs_of(url: str) -> list[str]:
    """The logs of a database that hold records, by name; nothing is changed.

    Raises:
        ConfigurationError: the URL cannot be used, or the schema is not that of this version.
        LedgerError: the server does not answer, or refuses.
    """
    place = place_of(url)
    with explained(place), connect(url) as db:
        check(db, place)
        return logs_with_records(db)


class PostgresLedger:
    """`Ledger` in a database that one process owns.

    Args:
        url: `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`; the schema is there already (`penstock ledger create`).
        log: the log's name; several ledgers may share a database under different names.
        amounts: by detector, which field is the money at stake: the column `amount` of the view `decisions`.
        read_only: read durable records without owning the log.
        pending_rows: `append` blocks while more rows than this wait.

    Raises:
        FolderInUse: another process owns this ledger.
        ConfigurationError: the URL cannot be used, or the schema is not that of this version; read-only, there is no such log.
        LedgerError: the server does not answer, or refuses.
    """

    def __init__(
        self,
        url: str,
        *,
        log: str = OWN,
        read_only: bool = False,
        amounts: Mapping[str, str] | None = None,
        pending_rows: int = 65_536,
        clock: Clock = system_clock,
    ) -> None:
        shapes = Shapes(self.layouts, self._versions, amounts or {})
        self.store = Store(url, log, shapes, clock, alone=not read_only)
        self._closed = False
        with ExitStack() as opened:
            opened.callback(self.store.drop)
            try:
                with explained(self.store.at):
                    place = self.store.open(read_only=read_only)
                    if not read_only:
                        place = self.store.take(None)
            except Fenced as error:
                raise FolderInUse(str(error)) from error
            self.identity = place.identity
            self._tables = PostgresTables(url, place.log)
            opened.callback(self._tables.close)
            self._reading = LogReader(url, place.log)
            opened.callback(self._reading.close)
            self._release = opened.pop_all().close
        self._next_seq = place.next_seq
        self._claims: dict[str, Claims] = {}
        self._on_the_way: dict[int, Record] = {}
        self._recent_records: RecentRecords | None = None
        self.writer: Writer | None = None
        if read_only:
            self.store.drop()
        else:
            self.writer = Writer(self._write, self._written, self.store.at, place.position, pending_rows, self._check)

    # ------------------------------------------------------------ what it is like

    @property
    def tables(self) -> Tables:
        """The SQL tables of the ledger."""
        return self._tables

    @property
    def trouble(self) -> LedgerError | None:
        """Why nothing can be made durable at present."""
        return None if self.writer is None else self.writer.trouble

    @property
    def first_position(self) -> int:
        """The oldest record still here."""
        return self._reading.first_position()

    @property
    def position(self) -> int:
        """The position of the next record."""
        return self._reading.place()[0] if self.writer is None else self.writer.position

    @property
    def durable_position(self) -> int:
        """Records before this one are durable."""
        return self._reading.place()[0] if self.writer is None else self.writer.durable_position

    @property
    def sealed_position(self) -> int:
        """Records before this one are durable, and never written again."""
        return self.durable_position

    @property
    def next_seq(self) -> int:
        """The sequence number of the next row."""
        return self._next_seq

    # ------------------------------------------------------------ writing

    def append(self, record: Record, done: Done | None = None) -> int:
        """See `Ledger.append`."""
        check_shape(record)
        if record.first_seq != self._next_seq:
            raise ValueError(f"a record begins at sequence number {record.first_seq}, the next one is {self._next_seq}")
        writer = self._owned()
        self._on_the_way[writer.position] = record
        position = writer.append(record, done)
        self._next_seq += len(record)
        return position

    def when_durable(self, done: Done) -> None:
        """See `Ledger.when_durable`."""
        self._owned().when_durable(done)

    def _owned(self) -> Writer:
        if self.writer is None:
            raise LedgerError(f"{self.store.at} was opened read-only; nothing can be appended")
        return self.writer

    def flush(self) -> None:
        """See `Ledger.flush`."""
        settled = threading.Event()
        errors: list[BaseException] = []

        def done(error: BaseException | None) -> None:
            if error is not None:
                errors.append(error)
            settled.set()

        self.when_durable(done)
        settled.wait()
        if errors:
            raise errors[0]

    def _write(self, frames: list[bytes], headers: list[Header]) -> None:
        """Make a group durable.

        Raises:
            LedgerError: nothing was written, or that is not known yet; the same group is written again.
        """
        whole = zip(headers, frames, strict=True)
        group = [Written(self._on_the_way[header.position], header, frame) for header, frame in whole]
        try:
            with explained(self.store.at):
                self.store.write(group)
        except LedgerError:
            raise
        except PenstockError as error:
            raise LedgerError(str(error)) from error
        except Exception as error:
            raise LedgerError(f"records cannot be written to {self.store.at}: {error!r}; please report this defect") from error

    def _check(self) -> None:
        """Check whether a group could be written now.

        Raises:
            LedgerError: the server does not answer, or somebody else owns the log.
        """
        try:
            with explained(self.store.at):
                self.store.check()
        except LedgerError:
            raise
        except PenstockError as error:
            raise LedgerError(str(error)) from error

    def _written(self, record: Record, position: int) -> None:
        del self._on_the_way[position]
        if self._recent_records is not None:
            self._recent_records.add(((position, record),))

    # ------------------------------------------------------------ reading

    def claims(self, detector: str, dedupe_us: int) -> Claims:
        """See `Ledger.claims`."""
        if detector not in self._claims:
            if self.writer is not None:
                self.flush()
            newest_us, (codes, arrived_us, seqs) = self._reading.ids(detector, dedupe_us)
            claims = self._claims[detector] = Claims(dedupe_us, newest_us=newest_us)
            claims.restore(codes, arrived_us, seqs)
        return self._claims[detector]

    def find(
        self, detector: str, transaction_id: str, kinds: Collection[str] = DECISIONS, *, until_us: int | None = None
    ) -> tuple[Record, int] | None:
        """See `Ledger.find`."""
        for record, row in self._reading.find(text_code(transaction_id), kinds):
            mine = record.detector == detector and record.ids[row] == transaction_id
            if mine and (until_us is None or record.time_us[row] <= until_us):
                return record, row
        return None

    def record_of(self, seq: int) -> tuple[Record, int] | None:
        """See `Ledger.record_of`."""
        pending = None if self.writer is None else self.writer.pending(seq)
        return pending or self._reading.record_of(seq)

    def read(self, from_position: int = 0, kinds: Collection[str] | None = None) -> Iterator[tuple[int, Record]]:
        """See `Ledger.read`."""
        return self._reading.read(from_position, kinds)

    def recent_records(self) -> RecentRecords:
        """See `FileLedger.recent_records`."""
        if self._recent_records is None:
            self._recent_records = RecentRecords(MOST_RECORDS)
        return self._recent_records

    def recent(
        self, detector: str, *, limit: int | None = None, before: int | None = None, kinds: Collection[str] = DECISIONS
    ) -> Iterator[tuple[Record, int]]:
        """See `Ledger.recent`."""
        top = self._reading.place()[1] if before is None else before
        left = limit if limit is not None else top
        for record in self._reading.backwards(detector, top, kinds):
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

    def _versions(self) -> list[DetectorVersion]:
        return self._tables.versions()

    # ------------------------------------------------------------ the end

    def close(self) -> None:
        """See `Ledger.close`."""
        if self._closed:
            return
        self._closed = True
        try:
            if self.writer is not None:
                self.writer.close()
        finally:
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
