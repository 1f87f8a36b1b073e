"""Group commit: a thread that writes all waiting records at once, while the next batch is being decided."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from penstock.errors import LedgerError
from penstock.ledger.disk import trouble_of
from penstock.ledger.encoding import Header, encode, header_of
from penstock.messages import Record

_GROUP_BYTES = 4 << 20
_RETRY_S = 0.25
_CHECK_S = 2.0
"""Between two looks at the device while nothing is written."""

_log = logging.getLogger(__name__)

Done = Callable[[BaseException | None], None]


@dataclass(slots=True)
class _WaitingRecord:
    """A waiting record (or None: only a callback for the records before it)."""

    record: Record | None
    position: int
    done: Done | None


class Writer:
    """The queue of waiting records, and the thread that writes them.

    Args:
        write: makes a group durable, or raises `OSError` or `LedgerError` with nothing changed.
        written: called with each record once it is durable, before its `done`.
        place: where the log is, for messages.
        check: raises what `write` would raise now, while nothing is to be written.

    waiting_rows: of records that are not durable yet. changed: notified whenever one of these values has changed.
    """

    def __init__(
        self,
        write: Callable[[list[bytes], list[Header]], None],
        written: Callable[[Record, int], None],
        place: Path | str,
        position: int,
        pending_rows: int,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.write = write
        self._check = check
        self._written = written
        self._place = place
        self._most_rows = pending_rows
        self._queue: deque[_WaitingRecord] = deque()
        self.waiting_rows = 0
        self._closing = False
        self.changed = threading.Condition()
        self.position = position
        self.durable_position = position
        self.trouble: LedgerError | None = None
        self._thread = threading.Thread(target=self._run, name="penstock-ledger", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------ the appending side

    def append(self, record: Record, done: Done | None) -> int:
        """Queue a record; blocks while too many rows wait and nothing is wrong.

        Raises:
            LedgerError: the ledger is closed.
        """
        with self.changed:
            while self._is_full_for(record) and self.trouble is None and not self._closing:
                self.changed.wait()
            self._refuse_if_closed()
            position = self.position
            self._queue.append(_WaitingRecord(record, position, done))
            self.waiting_rows += len(record)
            self.position += 1
            self.changed.notify_all()
            return position

    def _is_full_for(self, record: Record) -> bool:
        return bool(self.waiting_rows) and self.waiting_rows + len(record) > self._most_rows

    def when_durable(self, done: Done) -> None:
        """Call back when all records so far are durable."""
        with self.changed:
            self._refuse_if_closed()
            self._queue.append(_WaitingRecord(None, self.position - 1, done))
            self.changed.notify_all()

    def _refuse_if_closed(self) -> None:
        if self._closing:
            raise LedgerError(f"the ledger in {self._place} is closed; nothing can be appended")

    def pending(self, seq: int) -> tuple[Record, int] | None:
        """The record on its way that holds a sequence number, and its row."""
        with self.changed:
            records = [waiting.record for waiting in self._queue if waiting.record is not None]
        for record in records:
            if record.first_seq <= seq < record.first_seq + len(record):
                return record, seq - record.first_seq
        return None

    def close(self) -> None:
        """Make the rest durable, and end the thread.

        Raises:
            LedgerError: the device refuses; unacknowledged records are lost.
        """
        with self.changed:
            self._closing = True
            self.changed.notify_all()
        self._thread.join()
        if self.trouble is not None:
            raise self.trouble

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        while self._wait():
            try:
                group = self._next_group()
            except Exception as error:  # noqa: BLE001  # a record without bytes must not end the thread, nor be acknowledged
                self._fail(
                    LedgerError(f"a record cannot be written to {self._place}: {error!r}; this is a defect, please report it")
                )
            else:
                self._commit(*group) if group[0] else self._look()
            if self.trouble is not None and self._closing:
                return

    def _wait(self) -> bool:
        """Wait for work, or until it is time for a look at the device; False when closed and nothing is left."""
        with self.changed:
            if self.trouble is not None and not self._closing:
                self.changed.wait(_RETRY_S)
            if not self._queue and not self._closing:
                self.changed.wait(_CHECK_S if self.trouble is None else _RETRY_S)
            return bool(self._queue) or not self._closing

    def _next_group(self) -> tuple[list[_WaitingRecord], list[bytes], list[Header]]:
        with self.changed:
            waiting = list(self._queue)
        taken: list[_WaitingRecord] = []
        frames: list[bytes] = []
        headers: list[Header] = []
        size = 0
        for item in waiting:
            if size >= _GROUP_BYTES:
                break
            taken.append(item)
            if item.record is not None:
                frame = encode(item.record, item.position, back=size)
                header = header_of(frame)
                assert header is not None
                frames.append(frame)
                headers.append(header)
                size += len(frame)
        return taken, frames, headers

    def _look(self) -> None:
        """While idle, check whether a write would succeed, so that recovery needs no event."""
        try:
            self._check()
        except (OSError, LedgerError) as error:
            self._fail(error if isinstance(error, LedgerError) else trouble_of(error, Path(self._place)))
        else:
            with self.changed:
                self.trouble = None

    def _commit(self, taken: list[_WaitingRecord], frames: list[bytes], headers: list[Header]) -> None:
        try:
            if frames:
                self.write(frames, headers)
        except (OSError, LedgerError) as error:
            self._fail(error if isinstance(error, LedgerError) else trouble_of(error, Path(self._place)))
            return
        for item in taken:
            if item.record is not None:
                self._written(item.record, item.position)
        with self.changed:
            for item in taken:
                self._queue.popleft()
                self.waiting_rows -= len(item.record) if item.record is not None else 0
            self.durable_position = taken[-1].position + 1
            self.trouble = None
            self.changed.notify_all()
        for item in taken:
            _complete(item.done, None)

    def _fail(self, trouble: LedgerError) -> None:
        """Report the error to all callbacks; records stay queued, callbacks without a record do not."""
        with self.changed:
            if self.trouble is None:
                _log.error("%s", trouble)
            self.trouble = trouble
            waiting = list(self._queue)
            callbacks = [item.done for item in waiting]
            for item in waiting:
                item.done = None
            self._queue = deque(item for item in waiting if item.record is not None)
            self.changed.notify_all()
        for done in callbacks:
            _complete(done, trouble)


def _complete(done: Done | None, error: LedgerError | None) -> None:
    if done is None:
        return
    try:
        done(error)
    except Exception:  # noqa: BLE001  # whatever it is, the thread must go on making records durable
        _log.exception("a callback of the ledger failed")
