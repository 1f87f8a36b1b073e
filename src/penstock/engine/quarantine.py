"""Quarantine: refused events are stored with their cause, for people to correct and resubmit."""

import re
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from penstock.clock import Clock
from penstock.engine.statistics.totals import Totals
from penstock.errors import LedgerError
from penstock.ingest import ReadEvents, is_masked, masked_event
from penstock.ingest.schema import Schema
from penstock.ledger import Ledger, Quarantined, Tables
from penstock.messages import Refusal

MOST_WAITING = 1_000
MOST_WAITING_BYTES = 4 << 20
"""Maximum number of queued events; further ones are counted and not stored."""

LONGEST = 65_536
"""Maximum number of bytes of an event that are read; fewer are stored."""

PAUSE_S = 0.5
"""Pause between two writes, in seconds; it bounds the cost of a flood of invalid events."""


class _WaitingRefusal(NamedTuple):
    """A refused event to store."""

    detector: str
    body: bytes
    refusal: Refusal
    received_us: int


class QuarantineWriter:
    """The quarantine of one detector. A separate thread writes it, so callers do not wait.

    schema: of its events, which tells what is personal. kept: how many of the newest stay in the tables.
    """

    def __init__(self, detector: str, schema: Schema, ledger: Ledger, totals: Totals, clock: Clock, kept: int) -> None:
        self.kept = kept
        self._detector, self._schema = detector, schema
        self._ledger, self._totals, self._clock = ledger, totals, clock
        self.waiting: deque[_WaitingRefusal] = deque()
        self.waiting_bytes, self._untrimmed = 0, kept  # what an earlier start has left is trimmed with the first write
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def keep(self, bodies: Sequence[bytes], read: ReadEvents) -> None:
        """Store the refused events among these bodies."""
        if read.refused:
            self.put((bodies[row], refusal) for row, refusal in read.refused)

    def put(self, refused: Iterable[tuple[bytes, Refusal]], detector: str | None = None) -> None:
        """Store these events. detector: this one unless given; empty if they belong to none."""
        name, now, totals = self._detector if detector is None else detector, self._clock(), self._totals
        with self._changed:
            for body, refusal in refused:
                totals.quarantined += 1
                if len(self.waiting) >= MOST_WAITING or self.waiting_bytes >= MOST_WAITING_BYTES:
                    totals.quarantine_lost += 1
                    continue
                self.waiting.append(_WaitingRefusal(name, body[:LONGEST], refusal, now))
                self.waiting_bytes += min(len(body), LONGEST)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="penstock-quarantine", daemon=True)
                self._thread.start()
            self._changed.notify()

    def of(self, bodies: Sequence[bytes], read: ReadEvents) -> list[Quarantined]:
        """The refused events among these bodies, masked as in the quarantine."""
        if not read.refused:
            return []
        self._totals.quarantined += len(read.refused)
        name, now = self._detector, self._clock()
        return [self._as_kept(_WaitingRefusal(name, bodies[row], refusal, now)) for row, refusal in read.refused]

    def _as_kept(self, waiting: _WaitingRefusal) -> Quarantined:
        refusal = waiting.refusal
        where = refusal.errors[0][0] if refusal.errors else None
        body = masked_event(waiting.body, self._schema)
        return Quarantined(waiting.detector, waiting.received_us, refusal.detail, where, body)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.waiting or self._closed.is_set())
                taken, self.waiting, self.waiting_bytes = self.waiting, deque(), 0
            if not taken:
                return
            self._write(taken)
            self._closed.wait(PAUSE_S)

    def _write(self, taken: Iterable[_WaitingRefusal]) -> None:
        events = [self._as_kept(each) for each in taken]
        try:
            self.store(events)
        except LedgerError:
            self._totals.quarantine_lost += len(events)

    def store(self, events: Sequence[Quarantined]) -> None:
        """Put into the tables what is to be kept, and forget the oldest beyond what may be; blocks.

        Raises:
            LedgerError: they do not take it.
        """
        tables = self._ledger.tables
        tables.quarantine(events)
        self._untrimmed += len(events)
        if self._untrimmed > self.kept // 10:
            for detector in {event.detector for event in events}:
                tables.trim_quarantine(detector, self.kept)
            self._untrimmed = 0

    def close(self) -> None:
        """Write what is queued, and stop."""
        with self._changed:
            self._closed.set()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()


def forget_person(tables: Tables, detector: str, schema: Schema, key: str) -> int:
    """Remove refused events that name a person, and all that version 0.1 kept with personal values; how many.

    What those say cannot be told apart by persons. What is kept since then has no personal values. key: of the person.
    """
    named = re.compile(rf"(?<!\w){re.escape(key)}(?!\w)", re.IGNORECASE)
    found = [
        event.id
        for name in (detector, "")
        for event in tables.quarantined(name, limit=tables.quarantine_count(name))
        if event.id is not None
        and (named.search(f"{event.body.decode('utf-8', 'replace')} {event.cause}") or not is_masked(event.body, schema))
    ]
    if found:
        tables.forget_quarantined(found)
    return len(found)
