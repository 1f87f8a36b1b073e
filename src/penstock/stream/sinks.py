"""Feeding of sinks from the local ledger, each in its own thread, at its own pace.

No sink delays a decision. A sink that does not answer is retried; meanwhile its records wait in the ledger on this
machine's disk, without a limit. Each stores its position together with its records, so nothing is written twice and
nothing is left out, also after a takeover.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypedDict, TypeVar

from penstock.errors import ConfigurationError, Fenced, LedgerError, PenstockError, SinkUnavailable
from penstock.ledger import KeepsRecent, Ledger, RecentRecords
from penstock.ledger.cursors import Cursor, misfit
from penstock.messages import Record
from penstock.stream.port import Sink

FIRST_ROWS = 4_096
"""Rows of a sink's first full write; from then on its latency decides."""

LEAST_ROWS, MOST_ROWS = 256, 32_768
"""Bounds of the rows in one write."""

WRITE_WITHIN_S = 0.5
"""Aimed latency of a write: enough to share its cost, little to repeat where it fails."""

_LONGEST_PAUSE_S = 5.0

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class SinkStatus(TypedDict):
    """The status of a sink. behind, behind_s: records it lacks, and since when at most. trouble: why it takes none."""

    behind: int
    behind_s: float
    trouble: str | None


class BatchSize:
    """The number of rows in one write, adapted to a store's latency: doubled while full writes are quick, halved by slow ones.

    >>> size = BatchSize()
    >>> size.wrote(rows=4_096, took_s=0.1); size.rows
    8192
    >>> size.wrote(rows=8_192, took_s=2.0); size.rows
    4096
    >>> size.wrote(rows=12, took_s=0.1); size.rows
    4096
    """

    def __init__(self) -> None:
        self.rows = FIRST_ROWS

    def wrote(self, rows: int, took_s: float) -> None:
        """Take a write into account."""
        if took_s > WRITE_WITHIN_S:
            self.rows = max(self.rows // 2, LEAST_ROWS)
        elif took_s < WRITE_WITHIN_S / 2 and 2 * rows > self.rows:
            self.rows = min(2 * self.rows, MOST_ROWS)


class Lag:
    """How long records have been waiting for a sink, in seconds: the time since it had everything that there was then."""

    def __init__(self) -> None:
        self._had_all = time.monotonic()
        self._mark = 0, self._had_all

    def reached(self, position: int, end: int) -> None:
        """The sink has come to `position` of a ledger that ends at `end`."""
        if position >= self._mark[0]:
            self._had_all, self._mark = self._mark[1], (end, time.monotonic())

    def seconds(self, behind: int) -> float:
        """The lag of a sink that lacks this many records."""
        return time.monotonic() - self._had_all if behind else 0.0


class Feeding:
    """Feeds one sink, in a thread, until closed.

    Args:
        sink: the sink; closed with this.
        ledger: the local one.
        newest: shared by all sinks of an owner.
        fence: the owner's number.
        on_end: called once, from the thread, if another process has taken over, or the sink is misconfigured.
        every_s: seconds between two writes of a sink that need not have its records at once; it gets them as they come
            unless given.
    """

    def __init__(
        self,
        sink: Sink,
        ledger: Ledger,
        newest: RecentRecords,
        fence: int,
        on_end: Callable[[PenstockError], None],
        *,
        every_s: float | None = None,
    ) -> None:
        self.name = sink.name
        self.position = 0
        self.trouble: str | None = None
        self.ledger = ledger
        self._sink, self._newest, self._fence = sink, newest, fence
        self._on_end, self._every_s = on_end, every_s
        self._size, self._lag = BatchSize(), Lag()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"penstock-sink-{sink.name}", daemon=True)
        self._thread.start()

    @property
    def behind(self) -> int:
        """Records that the sink does not have yet."""
        return max(0, self.ledger.position - self.position)

    @property
    def alive(self) -> bool:
        """Whether it continues; False after an error that ends it."""
        return self._thread.is_alive()

    def status(self) -> SinkStatus:
        """How far the sink has come."""
        behind = self.behind
        return {"behind": behind, "behind_s": self._lag.seconds(behind), "trouble": self.trouble}

    def _run(self) -> None:
        try:
            self.position = self._insist(self._begun)
            while not self._closing.is_set():
                for records in self._portions():
                    self._insist(lambda records=records: self._write(records))  # type: ignore[misc]  # bound early
                    self.position = records[-1][0] + 1
                    self._lag.reached(self.position, self.ledger.position)
                self._lag.reached(self.position, self.ledger.position)
                if self._every_s is None:
                    self._newest.wait(self.position, 0.5)
                else:
                    self._closing.wait(self._every_s)
        except (Fenced, ConfigurationError) as error:
            self.trouble = str(error)
            self._on_end(error)
        except _FeedingStopped:
            return
        except Exception as error:  # noqa: BLE001  one store must not take the others, or the decisions, with it
            self.trouble = f"{type(error).__name__}: {error}"
            _log.exception("nothing more is written to %s", self.name)

    def _write(self, records: Sequence[tuple[int, Record]]) -> None:
        began = time.monotonic()
        self._sink.write(records)
        self._size.wrote(sum(len(record) for _, record in records), time.monotonic() - began)

    def _begun(self) -> int:
        """The position where the sink continues.

        Raises:
            ConfigurationError: it is ahead of the ledger, which was restored from an older copy.
        """
        position = self._sink.begin(self._fence)
        wrong = misfit(self.ledger, Cursor(position))
        if wrong is not None:
            raise ConfigurationError(
                f"{self.name} does not belong to this ledger: {wrong}. One of them was restored from an older copy, or the "
                "topics were made anew; restore both of the same time, or give this ledger a new store"
            )
        return position

    def _portions(self) -> Iterator[list[tuple[int, Record]]]:
        """The missing records, in batches of a good size."""
        known = self._newest.following(self.position)
        portion: list[tuple[int, Record]] = []
        rows = 0
        for position, record in known if known is not None else self.ledger.read(self.position):
            if rows and rows + len(record) > self._size.rows:
                yield portion
                portion, rows = [], 0
                if self._closing.is_set():
                    return
            portion.append((position, record))
            rows += len(record)
        if portion:
            yield portion

    def _insist(self, ask: Callable[[], _T]) -> _T:
        """Retry until the sink answers."""
        pause_s = 0.1
        while True:
            try:
                answer = ask()
            except (SinkUnavailable, LedgerError) as error:
                if self.trouble is None:
                    _log.warning("%s does not take anything for now: %s", self.name, error)
                self.trouble = str(error)
                if self._closing.wait(pause_s):
                    raise _FeedingStopped from error
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                if self.trouble is not None:
                    _log.info("%s takes records again", self.name)
                self.trouble = None
                return answer

    def finish(self, within_s: float) -> None:
        """Wait until the sink has everything, at most `within_s`."""
        until = time.monotonic() + within_s
        while self.behind and self.alive and time.monotonic() < until:
            time.sleep(0.02)

    def close(self) -> None:
        """Stop feeding, and close the sink."""
        self._closing.set()
        self._thread.join()
        self._sink.close()


def start_feeding(sink: Sink, ledger: Ledger, fence: int, on_end: Callable[[PenstockError], None]) -> Feeding:
    """Feed a sink in the process that decides, twice a second, without reading back what is still in memory."""
    newest = ledger.recent_records() if isinstance(ledger, KeepsRecent) else RecentRecords()
    return Feeding(sink, ledger, newest, fence, on_end, every_s=0.5)


class _FeedingStopped(Exception):
    """Feeding was closed while waiting for a sink."""


_NAME = "archive.name"


def name_of(ledger: Ledger) -> str:
    """The unique name of a ledger: made once, and stored in it."""
    name = ledger.tables.setting(_NAME)
    if name is None:
        name = f"engine-{secrets.token_hex(6)}"
        ledger.tables.put_setting(_NAME, name)
    return str(name)
