"""The owner of a shard: decides events from the inbox in units, one decided while the last is committed."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec
import numpy as np

from penstock.decoding import prepared
from penstock.engine.pipeline import BatchResult
from penstock.errors import Fenced, PenstockError
from penstock.ingest import masked_event
from penstock.ledger import FallbackAnswer, Quarantined
from penstock.ledger.encoding import encode
from penstock.messages import Record, Refusal
from penstock.stream.entry import JournalEntry
from penstock.stream.entry import encode as encode_entry
from penstock.stream.journal_ledger import Gathered
from penstock.stream.outgoing import decided, outgoing_of, quarantined
from penstock.stream.port import Inbox, Message, Outgoing, Unit
from penstock.stream.replica import Replica
from penstock.stream.trace_context import with_trace_context

MOST_EVENTS = 4_000
"""Maximum of messages in one unit: enough to share the cost of a transaction."""

AT_ONCE = 1_000
"""Transactions or labels applied together and stored as one record: reading one later reads all of them."""

LARGEST_BODY = 1 << 20
"""Maximum bytes of an event; a longer message goes to quarantine unread."""

KEPT_OF_A_BODY = 4_096
"""Bytes kept of such a message."""

UNIT_EVERY_S = 0.004
"""Minimum seconds between the starts of two small units: fewer units with more events each cost less."""

HEARTBEAT_S = 1.0
"""Seconds between ownership checks of an idle owner."""

SIGN_OF_LIFE_S = 0.6
"""Seconds without a commit after which the committing thread shows that the owner lives, even if the deciding thread is
busy."""

BEAT_S = 2.0
"""Seconds without a journal entry after which an owner writes an empty one, as a heartbeat for followers."""

MOST_HELD = 100_000
"""While more labels and answers than this wait for their transactions, only transactions are read."""

WORTH_A_UNIT = 500
"""Messages that a unit must have for the next to be decided while it is committed. Smaller units would only queue up: later
messages wait in the inbox, and form the next unit as a whole.
"""

_IN_FLIGHT = 2

_log = logging.getLogger(__name__)
_answer = msgspec.json.Decoder(prepared(FallbackAnswer)).decode
_refused = msgspec.json.Decoder(prepared(Quarantined)).decode

OnCommitted = Callable[[Sequence[tuple[int, Record]]], None]


class _Ready(NamedTuple):
    """A unit to be committed: its decisions and outgoing messages."""

    records: Gathered
    out: list[Outgoing]
    read: Sequence[Message]
    entry: JournalEntry


class Owner:
    """Decides for one shard. `run` reads and decides; a separate thread commits.

    A label waits until the transactions that arrived before it have been decided, since its own is among them.

    Args:
        replica: has caught up with the journal.
        inbox: claimed, not yet reading.
        name: the owner's name, for people.
        alone: whether this is the only shard; with several, a label for a transaction that is not here belongs to another.
        takeover: the previous owner is alive, and has to end.
        on_committed: called with committed records and their positions.
        between: called before each unit, in the engine's thread.
    """

    def __init__(
        self,
        replica: Replica,
        inbox: Inbox,
        name: str,
        *,
        alone: bool = True,
        takeover: bool = False,
        on_committed: OnCommitted = lambda _records: None,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        self.replica, self.inbox = replica, inbox
        self.fence = replica.fence + 1
        replica.lag = inbox.lag
        self.committed_events = 0
        self._engine, self._ledger = replica.engine, replica.ledger
        self._alone = alone
        self._on_committed = on_committed
        self._between = between
        self._announced: tuple[str, object] | None = None
        self._held: list[Message] = []
        self._seen_us = 0
        self._out: list[Outgoing] = []
        self._entry = JournalEntry(fence=self.fence, owner=name, takeover=takeover)
        self._last_unit = self._last_entry = 0.0
        self._ready: queue.Queue[_Ready | None] = queue.Queue(_IN_FLIGHT)
        self._idle = threading.Event()
        self._idle.set()
        self._large = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._commit_all, name="penstock-commit", daemon=True)

    def fail(self, error: BaseException) -> None:
        """End ownership with this error; thread-safe."""
        self._failure = self._failure or error
        self._idle.set()

    # ------------------------------------------------------------ deciding

    def run(self, stop: threading.Event) -> None:
        """Own the shard until asked to stop, then commit what was decided.

        Raises:
            Fenced: another owner has taken over.
            PenstockError: deciding is not possible, for instance for want of memory.
        """
        decider = self._engine.decider
        observers = decider.observers
        decider.observers = (self, *observers)
        self._thread.start()  # followers see signs of life from here on
        try:
            self.inbox.begin(self.replica.places, lambda entry: outgoing_of(self._engine, entry))
            while not stop.is_set():
                self._step()
        finally:
            decider.observers = observers
            self._finish()
        if self._failure is not None:
            raise self._failure

    def _step(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._ledger.trouble is not None:  # the disk is full: nothing is lost while it stays in the inbox
            time.sleep(0.25)
            return
        if not self._large and not self._idle.wait(0.5):
            return
        if not self._large:
            time.sleep(max(0.0, self._last_unit + UNIT_EVERY_S - time.monotonic()))
        full = len(self._held) > MOST_HELD
        messages = self.inbox.poll(MOST_EVENTS, 0.1 if self._held else 0.5, transactions_only=full)
        self._large = len(messages) >= WORTH_A_UNIT
        if messages or self._held or self._entry.owner or time.monotonic() - self._last_unit > HEARTBEAT_S:
            self._last_unit = time.monotonic()
            self._submit(self._unit(messages))

    def _unit(self, messages: list[Message]) -> _Ready:
        """Decide the events of these messages."""
        self._between()
        self._describe()
        transactions = [message for message in messages if message.role == "transactions"]
        self._held += [message for message in messages if message.role != "transactions"]
        if transactions:
            self._seen_us = max(self._seen_us, transactions[-1].arrived_us)
        self._ledger.gather()
        try:
            self._take(transactions)
            others = self._due()
            self._take_labels([message for message in others if message.role == "labels"])
            for message in others:
                if message.role == "answers":
                    self._record_answer(message)
        except BaseException:
            self._ledger.abandon()
            raise
        records = self._ledger.gathered()
        entry, self._entry = self._entry, JournalEntry(fence=self.fence)
        out, self._out = self._out, []
        entry.places = {message.role: message.place for message in (*transactions, *others)}
        return _Ready(records, out, [*transactions, *others], entry)

    def _due(self) -> list[Message]:
        """The labels and answers whose transactions have been decided: those that arrived before a decided one, and all of
        them if no transaction waits. Others may have arrived that have not been read yet.
        """
        number = next((k for k, message in enumerate(self._held) if message.arrived_us >= self._seen_us), len(self._held))
        if number < len(self._held) and self.inbox.caught_up():
            number = len(self._held)
        due, self._held = self._held[:number], self._held[number:]
        return due

    def _take(self, messages: list[Message]) -> None:
        fitting = self._fitting(messages, "an event")
        for start in range(0, len(fitting), AT_ONCE):
            some = fitting[start : start + AT_ONCE]
            arrived_us = np.array([message.arrived_us for message in some], np.int64)
            with with_trace_context(some):
                refused, malformed = self._engine.take_json([message.body for message in some], arrived_us)
            self._quarantine(malformed)
            for refusal in refused[len(malformed) :]:
                _log.info("not decided: %s", refusal.detail)

    def _fitting(self, messages: list[Message], what: str) -> list[Message]:
        """The messages within the size limit; the others go to quarantine unread."""
        for message in messages:
            if len(message.body) > LARGEST_BODY:
                text = f"the message has {len(message.body):,} bytes; {what} has at most {LARGEST_BODY:,}"
                self._quarantine([self._unread(message, text)])
        return [message for message in messages if len(message.body) <= LARGEST_BODY]

    def decided(self, record: Record, _result: BatchResult, rendered: list[bytes]) -> None:
        """Publish new decisions with the unit."""
        self._out += decided(record, rendered)

    def _take_labels(self, messages: list[Message]) -> None:
        """Apply labels in portions, each of which becomes one record."""
        fitting = self._fitting(messages, "a label")
        for start in range(0, len(fitting), AT_ONCE):
            some = fitting[start : start + AT_ONCE]
            for message, answers in zip(some, self._engine.label_store.submit_json([each.body for each in some]), strict=True):
                for answer in answers:
                    if isinstance(answer, Refusal) and (self._alone or answer.status != 404):
                        self._quarantine([self._unread(message, f"label: {answer.detail}")])

    def _record_answer(self, message: Message) -> None:
        """Record a fallback decision that a caller got, or quarantine an event that a service refused."""
        try:
            self._entry.answered.append(_answer(message.body))
        except msgspec.MsgspecError:
            try:
                self._quarantine([_refused(message.body)])
            except msgspec.MsgspecError:
                self._quarantine([self._unread(message, "this is nothing that a caller was told")])

    def _unread(self, message: Message, cause: str) -> Quarantined:
        self._engine.totals.quarantined += 1
        body = masked_event(message.body[:KEPT_OF_A_BODY], self._engine.detector.schema)
        return Quarantined(self._engine.detector.name, self._engine.clock(), cause, None, body)

    def _quarantine(self, events: list[Quarantined]) -> None:
        self._entry.quarantined += events
        self._out += map(quarantined, events)

    def _describe(self) -> None:
        """Announce to followers the layout of coming records."""
        engine = self._engine
        if self._announced != (engine.active.format.layout_id, engine.active.format.versions):
            self._announced = engine.active.format.layout_id, engine.active.format.versions
            self._entry.layouts = {engine.active.format.layout_id: engine.ledger.layouts()[engine.active.format.layout_id]}
            self._entry.versions = engine.ledger.tables.versions(engine.detector.name)

    # ------------------------------------------------------------ committing

    def _submit(self, ready: _Ready) -> None:
        """Pass a unit to the commit thread; waits while two are pending."""
        self._idle.clear()
        while self._failure is None:
            with suppress(queue.Full):
                self._ready.put(ready, timeout=0.5)
                return

    def _commit_all(self) -> None:
        try:
            while True:
                try:
                    ready = self._ready.get(timeout=SIGN_OF_LIFE_S)
                except queue.Empty:
                    self.inbox.commit(Unit())
                    continue
                if ready is None:
                    return
                self._commit(ready)
                if self._ready.empty():
                    self._idle.set()
        except BaseException as error:  # noqa: BLE001  whatever it is, the deciding side must hear of it
            self.fail(error)
            self._ledger.abandon()

    def _commit(self, ready: _Ready) -> None:
        entry = ready.entry
        entry.frames = [encode(record, position) for position, record, _ in ready.records]
        now = time.monotonic()
        said = entry.frames or entry.owner or entry.layouts or entry.quarantined or entry.answered
        empty = not said and now - self._last_entry < BEAT_S
        self._last_entry = self._last_entry if empty else now
        place = self.inbox.commit(Unit(b"" if empty else encode_entry(entry), ready.out, ready.read))
        self._ledger.committed(ready.records)
        self.replica.keep(entry)
        self.replica.advance(place or self.replica.place, entry)
        self.committed_events += len(ready.read)
        if ready.records:
            self._on_committed([(position, record) for position, record, _ in ready.records])

    def _finish(self) -> None:
        """Commit what was decided; if that is impossible, discard it."""
        while self._failure is None and self._thread.is_alive():
            with suppress(queue.Full):
                self._ready.put(None, timeout=0.5)
                break
        self._thread.join()
        if isinstance(self._failure, Fenced):
            _log.warning("%s: %s", self._engine.detector.name, self._failure)
        elif isinstance(self._failure, PenstockError):
            _log.error("%s: %s", self._engine.detector.name, self._failure)
