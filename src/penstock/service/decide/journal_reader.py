"""The reader of a journal: a thread reads, and the event loop, which owns the replica's engine, applies."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from penstock.engine import Engine
from penstock.errors import BrokerError, PenstockError
from penstock.messages import Record
from penstock.stream.parts import Parts
from penstock.stream.port import Journal, Outlet
from penstock.stream.replica import Replica

_SAVE_EVERY_S = 5.0
_ASK_AGAIN_S = 1.0

_log = logging.getLogger("penstock.service")


class JournalReader:
    """A replica that is kept up to date, and the broker's producer. The constructor reads the journal to its end.

    heard_at: when a worker last wrote into the journal, of `time.monotonic`; None if none has since this was made.

    Args:
        parts: opens the broker's clients and the replica.
        loop: runs the replica's engine.
        on_records: called on the loop with records once they can be looked up here.

    Raises:
        BrokerError: the broker does not answer.
        FolderInUse: no folder of the data folder is free.
    """

    def __init__(self, parts: Parts, loop: asyncio.AbstractEventLoop, on_records: Callable[[Sequence[Record]], None]) -> None:
        self._loop, self._on_records = loop, on_records
        self._trouble: str | None = None
        self.newest_at: float | None = None
        self._closing = threading.Event()
        self._replica: Replica = parts.open_replica(0)
        try:
            self._journal: Journal = parts.broker.journal(0, self._replica.place)
            self._replica.catch_up(self._journal)
            self.outlet: Outlet = parts.broker.outlet()
        except BaseException:
            self._replica.close()
            raise
        self._replica.on_followed = self._followed
        self._thread = threading.Thread(target=self._follow, name="penstock-follow", daemon=True)
        self._thread.start()

    @property
    def engine(self) -> Engine:
        """The replica's engine."""
        return self._replica.engine

    @property
    def taken_in(self) -> str | None:
        """The position of the last transaction of the inbox whose decision can be looked up here."""
        return self._replica.places.get("transactions")

    @property
    def trouble(self) -> str | None:
        """Why it cannot be up to date; None when all is well."""
        return self._trouble or self._journal.trouble or self.outlet.trouble

    def _follow(self) -> None:
        saved = time.monotonic()
        while not self._closing.is_set():
            try:
                entries = self._journal.poll(0.2)
            except BrokerError as error:
                self._complain(str(error))
                self._closing.wait(_ASK_AGAIN_S)
                continue
            if entries:
                self.newest_at = time.monotonic()
                taken = threading.Event()
                self._loop.call_soon_threadsafe(self._enter, entries, taken)
                while not taken.wait(0.5) and not self._closing.is_set():
                    pass
                if time.monotonic() - saved > _SAVE_EVERY_S:
                    saved = time.monotonic()
                    self._replica.save()

    def _enter(self, entries: list[tuple[str, bytes]], taken: threading.Event) -> None:
        try:
            for place, data in entries:
                self._replica.enter(place, data)
        except PenstockError as error:
            self._complain(f"the journal cannot be followed any further: {error}")
        finally:
            taken.set()

    def _complain(self, trouble: str) -> None:
        if trouble != self._trouble:
            _log.error("%s: %s", self.engine.detector.name, trouble)
        self._trouble = trouble

    def _followed(self, records: Sequence[Record]) -> None:
        def stored(_error: BaseException | None) -> None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._on_records, records)

        self._replica.ledger.when_durable(stored)

    def close(self) -> None:
        """Stop following and release everything; may wait for the disk."""
        self._closing.set()
        self._thread.join()
        self._journal.close()
        self.outlet.close()
        with suppress(PenstockError):
            self._replica.save()
        self._replica.close()
