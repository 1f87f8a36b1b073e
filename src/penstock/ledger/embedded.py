"""The file ledger of the embedded shape: append-only segments, sorted runs of ids and one SQLite file, in one folder.

ledger/lock                       who owns the folder
ledger/log/0000000000000000.log   segments, named by their first position; .marks next to the sealed ones
ledger/log/end                    the acknowledged end: compared with the segments at the next start
ledger/ids/*.ids, manifest        sorted ids of the sealed stretches (made again from the log where missing)
ledger/penstock.sqlite            labels, quarantine, alerts, settings
"""

import fcntl
import logging
import os
import secrets
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from penstock.clock import Clock, iso, system_clock
from penstock.codes import text_code
from penstock.errors import ConfigurationError, FolderInUse, LedgerDamaged, LedgerError
from penstock.ledger.claims import Claims
from penstock.ledger.disk import Disk, trouble_of
from penstock.ledger.encoding import check_shape, detector_code
from penstock.ledger.identities import INDEXED, SEAL_ROWS, Identities
from penstock.ledger.log import REMEDY, SEGMENT_BYTES, Log
from penstock.ledger.port import DECISIONS, Done
from penstock.ledger.recent_records import MOST_RECORDS, RecentRecords
from penstock.ledger.sqlite import SqliteTables
from penstock.ledger.tables import ArchiveField, Tables
from penstock.ledger.writer import Writer
from penstock.messages import Record
from penstock.private_files import keep_private, make_private


class FolderLock:
    """An exclusive lock on a folder: `folder/lock` is held until closed.

    Raises:
        FolderInUse: another process (or another ledger in this one) holds it; the message names it and the time.
        ConfigurationError: the folder cannot be written.
    """

    def __init__(self, folder: Path, *, clock: Clock = system_clock) -> None:
        path = folder / "lock"
        try:
            make_private(folder)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"cannot use the folder {folder}: {error.strerror}; name one that can be written"
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._fd, 200, 0).decode(errors="replace").strip() or "another process"
            os.close(self._fd)
            raise FolderInUse(
                f"{folder} is in use by {owner}; one folder has one owner. Stop that process, or name another --data folder"
            ) from error
        with suppress(OSError):  # without room the lock still holds, only nameless
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"process {os.getpid()}, since {iso(clock())}\n".encode(), 0)

    def close(self) -> None:
        """Close; twice is fine."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


_LOG_ID = "log.number"
_TEND_S = 1.0

_log = logging.getLogger(__name__)


class FileLedger:
    """`Ledger` in a folder that one process owns; others may open it with `read_only=True` meanwhile.

    Args:
        folder: made if it is not there.
        read_only: read the records durable at this moment, without a lock.
        following: of one that is read only: read on behind its owner, with `refresh`. Ids are those of the beginning.
        pending_rows: `append` blocks while more rows than this wait.
        accept_loss: continue without acknowledged records, or tables, that are missing or damaged; see `losses`.
        disk: the calls that write; tests give one that fails.

    Raises:
        FolderInUse: another process owns the folder.
        LedgerDamaged: acknowledged records are missing, or fail their checksum where no crash explains it.
        LedgerFull, LedgerError: the device refused.
        ConfigurationError: the folder cannot be used.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        read_only: bool = False,
        following: bool = False,
        pending_rows: int = 65_536,
        segment_bytes: int = SEGMENT_BYTES,
        seal_rows: int = SEAL_ROWS,
        accept_loss: bool = False,
        clock: Clock = system_clock,
        disk: Disk | None = None,
    ) -> None:
        self.folder = Path(folder)
        self._read_only, self._following = read_only, following
        disk = disk or Disk()
        log_folder, ids_folder = self.folder / "log", self.folder / "ids"
        if read_only and not log_folder.is_dir():
            raise ConfigurationError(f"there is no ledger in {self.folder}; name the data folder of a service that has run")
        with ExitStack() as opened:
            if not read_only:
                opened.enter_context(closing(FolderLock(self.folder, clock=clock)))
            try:
                for made in (log_folder, ids_folder):
                    make_private(made)
                if not read_only:
                    keep_private(self.folder)
                self.log = Log(
                    log_folder,
                    read_only=read_only,
                    following=following,
                    disk=disk,
                    segment_bytes=segment_bytes,
                    accept_loss=accept_loss,
                )
                opened.callback(self.log.close)
                self._tables = self._opened_tables(accept_loss=accept_loss)
                opened.callback(self._tables.close)
                self.ids = Identities(ids_folder, disk, seal_rows=seal_rows, read_only=read_only)
                self._open_ids()
            except OSError as error:
                raise trouble_of(error, self.folder) from error
            self._release = opened.pop_all().close
        self._next_seq = self.log.next_seq
        self._claims: dict[str, Claims] = {}
        self._recent_records: RecentRecords | None = None
        self._closed = threading.Event()
        self._tending = threading.Event()
        if read_only:
            return
        self.writer = Writer(self.log.write, self._written, log_folder, self.log.next_position, pending_rows, self.log.check)
        self._tender = threading.Thread(target=self._tend, name="penstock-ledger-ids", daemon=True)
        self._tender.start()

    def _opened_tables(self, *, accept_loss: bool) -> SqliteTables:
        """Open the SQL tables. They carry the log's number as its end does: neither is accepted without the other.

        Raises:
            LedgerDamaged: one of them is missing, or belongs to another log, and that is not accepted.
        """
        log, path = self.log, self.folder / "penstock.sqlite"
        begun, there = log.next_position > 0, path.exists()
        wrong = f"{path} is missing, and with it labels, quarantine, alerts and layouts" if begun and not there else None
        if wrong is not None and not accept_loss:
            raise LedgerDamaged(f"{wrong}. {REMEDY}")
        tables = SqliteTables(path)
        try:
            kept = tables.setting(_LOG_ID)
            number = log.end.log if log.end is not None else None
            if wrong is None and begun and number is not None and kept != number:
                missing = "lacks what it held" if kept is None else "belongs to another log"
                wrong = f"{path} {missing}: labels, quarantine, alerts and layouts are not those of {log.folder}"
            elif kept is not None and number is None and not begun:
                wrong = f"{log.folder} is missing or empty, but {path} belongs to a log that was written"
            elif kept is not None and number is None:
                _log.warning("%s is missing; it is made again, and claims only what is there now", log.folder / "end")
            if wrong is not None and not accept_loss:
                raise LedgerDamaged(f"{wrong}. {REMEDY}")
            if wrong is not None:
                log.losses.append(f"{wrong}. {REMEDY}")
            if not self._read_only:
                self._number(tables, number if number is not None else kept, begun=begun)
        except BaseException:
            tables.close()
            raise
        return tables

    def _number(self, tables: SqliteTables, number: int | None, *, begun: bool) -> None:
        """Keep the log's number in both places; where a crash falls in between, the next start sees no loss."""
        number = secrets.randbits(63) if number is None else number
        if begun:
            tables.put_setting(_LOG_ID, number)
        self.log.keep_end(number)
        if tables.setting(_LOG_ID) != number:
            tables.put_setting(_LOG_ID, number)

    def _open_ids(self) -> None:
        log = self.log
        self.ids.open(log.first_position, log.next_position, lambda position: log.read(position, kinds=INDEXED))

    # ------------------------------------------------------------ what it is like

    @property
    def tables(self) -> Tables:
        """The SQL tables of the ledger."""
        return self._tables

    @property
    def trouble(self) -> LedgerError | None:
        """Why nothing can be made durable at present."""
        return None if self._read_only else self.writer.trouble

    @property
    def cut_bytes(self) -> int:
        """Bytes that recovery removed on opening: the end of a write that was never acknowledged."""
        return self.log.cut_bytes

    @property
    def losses(self) -> Sequence[str]:
        """Missing or damaged records that were accepted on opening."""
        return self.log.losses

    @property
    def size_bytes(self) -> int:
        """Bytes of the log."""
        return self.log.size_bytes

    @property
    def first_position(self) -> int:
        """The oldest record still here."""
        return self.log.first_position

    @property
    def position(self) -> int:
        """The position of the next record."""
        return self.log.next_position if self._read_only else self.writer.position

    @property
    def durable_position(self) -> int:
        """Records before this one are durable."""
        return self.log.next_position if self._read_only else self.writer.durable_position

    @property
    def sealed_position(self) -> int:
        """Records before this one stand in sealed segments."""
        return self.log.sealed_position

    @property
    def next_seq(self) -> int:
        """The sequence number of the next row."""
        return self._next_seq

    # ------------------------------------------------------------ writing

    def append(self, record: Record, done: Done | None = None) -> int:
        """See `Ledger.append`."""
        self._refuse_if_read_only()
        check_shape(record)
        if record.first_seq != self._next_seq:
            raise ValueError(f"a record begins at sequence number {record.first_seq}, the next one is {self._next_seq}")
        position = self.writer.append(record, done)
        self._next_seq += len(record)
        return position

    def when_durable(self, done: Done) -> None:
        """See `Ledger.when_durable`."""
        self._refuse_if_read_only()
        self.writer.when_durable(done)

    def refresh(self) -> int:
        """Read what the owner has made durable since, where this follows it; returns the position after that.

        Raises:
            LedgerDamaged: what it wrote cannot be read.
        """
        return self.log.refresh()

    def flush(self) -> None:
        """See `Ledger.flush`."""
        if self._following:
            self.refresh()
            return
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

    def _refuse_if_read_only(self) -> None:
        if self._read_only:
            raise LedgerError(f"{self.folder} was opened read-only; nothing can be appended")

    def _written(self, record: Record, position: int) -> None:
        if self._recent_records is not None:
            self._recent_records.add(((position, record),))
        self.ids.add(record, position)
        if self.ids.untended:
            self._tending.set()

    def forget(self, before_position: int) -> int:
        """Delete the log's sealed segments that hold only records before this position; returns how many.

        The ids in them are still known, but `find` and `record_of` no longer see their records: the archive does.
        """
        self._refuse_if_read_only()
        return self.log.forget(before_position)

    # ------------------------------------------------------------ ids

    def claims(self, detector: str, dedupe_us: int) -> Claims:
        """See `Ledger.claims`."""
        if detector not in self._claims:
            if not self._read_only:
                self.flush()
            try:
                self._claims[detector] = self.ids.claims(detector, dedupe_us)
            except LedgerDamaged as error:
                _log.warning("%s", error)
                self.ids.discard()
                self._open_ids()
                self._claims[detector] = self.ids.claims(detector, dedupe_us)
        return self._claims[detector]

    def _tend(self) -> None:
        """Sort full buffers of ids in the background; a failed attempt is repeated."""
        while not self._closed.is_set():
            self._tending.wait()
            self._tending.clear()
            try:
                self.ids.tend()
            except OSError as error:
                _log.warning("ids stay in memory for now: %s", error)
                self._closed.wait(_TEND_S)
                self._tending.set()
            except LedgerDamaged as error:
                _log.error("%s at the next start", error)
                self.ids.discard()

    # ------------------------------------------------------------ reading

    def find(
        self, detector: str, transaction_id: str, kinds: Collection[str] = DECISIONS, *, until_us: int | None = None
    ) -> tuple[Record, int] | None:
        """See `Ledger.find`."""
        for seq in self.ids.find(detector, text_code(transaction_id)):
            found = self.log.record_of(seq)
            if found is not None and _is(found, detector, transaction_id, kinds):
                record, row = found
                if until_us is None or record.time_us[row] <= until_us:
                    return found
        return None

    def record_of(self, seq: int) -> tuple[Record, int] | None:
        """See `Ledger.record_of`."""
        pending = None if self._read_only else self.writer.pending(seq)
        return pending or self.log.record_of(seq)

    def read(self, from_position: int = 0, kinds: Collection[str] | None = None) -> Iterator[tuple[int, Record]]:
        """See `Ledger.read`."""
        return self.log.read(from_position, kinds=kinds)

    def recent_records(self) -> RecentRecords:
        """The newest durable records, kept in memory from the first call on."""
        if self._recent_records is None:
            self._recent_records = RecentRecords(MOST_RECORDS)
        return self._recent_records

    def recent(
        self, detector: str, *, limit: int | None = None, before: int | None = None, kinds: Collection[str] = DECISIONS
    ) -> Iterator[tuple[Record, int]]:
        """See `Ledger.recent`."""
        top = self.log.next_seq if before is None else before
        left = limit if limit is not None else top
        for record in self.log.backwards(detector_code(detector), top, kinds):
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

    # ------------------------------------------------------------ the end

    def close(self) -> None:
        """See `Ledger.close`."""
        if self._closed.is_set():
            return
        try:
            if not self._read_only:
                self.writer.close()
        finally:
            self._closed.set()
            self._tending.set()
            if not self._read_only:
                self._tender.join()
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _is(found: tuple[Record, int], detector: str, transaction_id: str, kinds: Collection[str]) -> bool:
    record, row = found
    return record.kind in kinds and record.detector == detector and record.ids[row] == transaction_id
