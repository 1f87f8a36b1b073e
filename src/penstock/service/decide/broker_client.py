"""The broker client: decisions from a worker. It publishes requests, follows the worker's journal, and never decides for
good.

    request -> BrokerClient -> broker -> worker -> journal -> replica -> the callers waiting for that id

A replica follows the journal, so queries are answered here at once. When a decision misses the budget, the caller gets
the fallback decision that the policy names, marked degraded. It is published through the broker as well, so that every
lookup of the transaction shows it next to the final decision.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, cast

import msgspec
import numpy as np

from penstock.clock import iso
from penstock.config import Settings
from penstock.engine import Engine
from penstock.engine.labels.store import read_statements
from penstock.errors import BrokerError, NotReady
from penstock.ingest import masked_event
from penstock.ledger import FallbackAnswer, Quarantined
from penstock.messages import Action, Record, Refusal
from penstock.service.decide.fallback import PROVISIONAL, fallback_decision
from penstock.service.decide.feed import PER_BATCH, Feed, Measures
from penstock.service.decide.journal_reader import JournalReader
from penstock.service.decide.port import Answer, OnAnswer
from penstock.service.http.problems import Busy
from penstock.service.http.tracing import CURRENT
from penstock.stream.owner import BEAT_S
from penstock.stream.parts import Parts
from penstock.stream.port import OnAcknowledged

MOST_PER_S = 100
"""Refused events forwarded within a second; further ones are counted, and not kept."""

LONGEST = 65_536
"""Bytes of an event that are forwarded at most."""

_encode = msgspec.json.Encoder().encode


class RefusedForwarder:
    """Forwards refused events, with a limit per second, through the topic of fallback decisions.

    put: publishes, by role and key.
    """

    def __init__(self, put: Callable[[str, str, bytes], None]) -> None:
        self._put = put
        self._second, self._handed = 0, 0

    def enqueue(self, engine: Engine, body: bytes, refusal: Refusal) -> None:
        """Forward one event; if the broker does not take it, it is counted as lost."""
        engine.totals.quarantined += 1
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._handed = second, 0
        self._handed += 1
        if self._handed <= MOST_PER_S:
            with suppress(BrokerError):
                self._put("answers", engine.detector.name, _encode(_kept(engine, body, refusal)))
                return
        engine.totals.quarantine_lost += 1


def _kept(engine: Engine, body: bytes, refusal: Refusal) -> Quarantined:
    where = refusal.errors[0][0] if refusal.errors else None
    kept = masked_event(body[:LONGEST], engine.detector.schema)
    return Quarantined(engine.detector.name, engine.clock(), refusal.detail, where, kept)


_PORTION = 128
_MORE_EACH_MS = 1.0
_CONFIRMED_WITHIN_S = 30.0
_MOST_ASKED_FOR = 4_096
"""Unknown ids of which is noted where the inbox ended when they were first asked for."""
_SILENT_S = 2.5 * BEAT_S

Waiter = tuple["asyncio.Future[bytes]", int]
"""The future of a waiting caller, and since when it waits (nanoseconds)."""


class BrokerClient:
    """`ServedDetector` for a detector that a worker decides. Call it on the event loop's thread; a separate thread reads the
    journal.

    Args:
        name: the detector's.
        parts: opens the broker's clients and the replica.
        settings: limits and the budget.
    """

    def __init__(self, name: str, parts: Parts, settings: Settings) -> None:
        self.name, self.settings = name, settings
        self.measures, self.feed = Measures(), Feed()
        self.models_trouble: str | None = None
        self._parts = parts
        self._waiting: dict[str, list[Waiter]] = {}
        self._asked_for: dict[str, str] = {}
        self._forwarder = RefusedForwarder(self._put)
        self.followed: JournalReader | None = None

    # ---------------------------------------------------------------- opening and closing

    async def open(self) -> None:
        """Read the journal to its end, then follow it."""
        self.followed = await asyncio.to_thread(JournalReader, self._parts, asyncio.get_running_loop(), self.show)

    async def close(self) -> None:
        """Close the journal and the broker; waiting callers are not answered."""
        for waiters in self._waiting.values():
            for future, _ in waiters:
                future.cancel()
        if self.followed is not None:
            await asyncio.to_thread(self.followed.close)

    @property
    def not_ready(self) -> str | None:
        """None, or the reason why requests cannot be served now."""
        if self.followed is None:
            return "code is being compiled and the journal is being followed for the first time"
        return self.followed.trouble or self.followed.engine.ready

    @property
    def unable(self) -> str | None:
        """See `ServedDetector.unable`."""
        if self.not_ready is not None:
            return self.not_ready
        silent_s = self._silent_s
        if silent_s is None:
            return f"no worker has been heard of yet; {self._remedy}"
        grace_s = self.settings.worker_grace
        if silent_s <= grace_s or self._on_timeout == PROVISIONAL:
            return None
        return f"no worker has been heard of for {silent_s:.0f} s, longer than worker_grace ({grace_s:g} s); {self._remedy}"

    @property
    def degraded(self) -> str | None:
        """See `ServedDetector.degraded`."""
        silent_s = self._silent_s
        if silent_s is None or silent_s <= _SILENT_S:
            return None
        return (
            f"no worker has been heard of for {silent_s:.0f} s: callers get what on_timeout names ({self._on_timeout}); "
            f"{self._remedy}"
        )

    @property
    def _on_timeout(self) -> str:
        """The fallback for missed deadlines: from the settings, else from the detector's policy."""
        return self.settings.on_timeout or self.engine.detector.policy.on_timeout

    @property
    def _silent_s(self) -> float | None:
        """Seconds since a worker last wrote into the journal; None if none has yet."""
        newest_at = None if self.followed is None else self.followed.newest_at
        return None if newest_at is None else time.monotonic() - newest_at

    @property
    def _remedy(self) -> str:
        return f"start one: penstock worker {self.name} --stream URL"

    @property
    def trouble(self) -> str | None:
        """Why broker and journal cannot be reached; None when they can."""
        return "the journal is being followed for the first time" if self.followed is None else self.followed.trouble

    @property
    def engine(self) -> Engine:
        """The replica's engine, for queries.

        Raises:
            NotReady: it is still being opened.
        """
        if self.followed is None:
            raise NotReady(f"detector {self.name!r} is not ready: {self.not_ready}")
        return self.followed.engine

    @property
    def queued_events(self) -> int:
        """Number of transactions whose decisions callers wait for."""
        return len(self._waiting)

    # ---------------------------------------------------------------- following the journal

    def show(self, records: Sequence[Record]) -> None:
        """Called when records can be looked up here: answer the callers who wait for their decisions."""
        for record in records:
            if record.kind != "decisions":
                continue
            actions: Any = record.columns["action"]
            counted = Counter({Action(code).name: int(n) for code, n in enumerate(np.bincount(actions)) if n})
            rows = [] if self.followed is None else self._shown(record, actions)  # its thread begins before `open` has it
            rendered = dict(zip(rows, self.engine.queries.render(record, rows), strict=True)) if rows else {}
            for row in rows:
                self._answer(record.ids[row], rendered[row])
            self.feed.followed(counted, list(rendered.values()))
            self.feed.watch.found(record.ids)

    def _shown(self, record: Record, actions: Any) -> list[int]:
        """The rows that answer a caller or appear on a live page: only these are rendered as JSON."""
        rows = {*range(min(PER_BATCH, len(record))), *np.flatnonzero(actions != Action.APPROVE.value)[:PER_BATCH].tolist()}
        if self._waiting:
            rows |= {row for row, each in enumerate(record.ids) if each in self._waiting}
        return sorted(rows)

    def _answer(self, transaction_id: str, decision: bytes) -> None:
        now = time.perf_counter_ns()
        for future, since in self._waiting.pop(transaction_id, ()):
            if not future.done():
                future.set_result(decision)
                self.measures.request(0, now - since)

    # ---------------------------------------------------------------- decisions

    async def submit(self, bodies: Sequence[bytes], *, dry_run: bool = False) -> list[Answer]:
        """Publish events, and wait for the decisions within the budget; after it, answer with fallback decisions.

        Raises:
            NotReady: the broker cannot be reached, or the replica is not ready.
            Busy: too many callers wait already.
            BrokerError: the broker did not take an event.
        """
        self._check()
        if dry_run:
            return self.engine.decide_json(bodies, dry_run=True)
        began_ns, traced = time.perf_counter_ns(), CURRENT.get()
        answers, waiters = self._publish(bodies, b"" if traced is None else traced.traceparent)
        if waiters:
            seconds = (self.settings.predict_budget_ms + _MORE_EACH_MS * (len(waiters) - 1)) / 1000
            await asyncio.wait([future for _, future in waiters.values()], timeout=seconds)
            if traced is not None:
                traced.went("worker", began_ns, time.perf_counter_ns())
        for place, (transaction_id, future) in waiters.items():
            answers[place] = future.result() if future.done() else self._fallback(transaction_id, bodies[place], future)
        return [answer for answer in answers if answer is not None]

    def ask(self, body: bytes, on_answer: OnAnswer) -> None:
        """See `ServedDetector.ask`."""
        asked = asyncio.ensure_future(self.submit((body,)))
        asked.add_done_callback(lambda done: on_answer(cast("Exception", done.exception()) or done.result()[0]))

    async def decide(self, bodies: Sequence[bytes], *, dry_run: bool = False) -> list[Answer]:
        """Decide any number of events of one caller, in order: in portions, one after the other."""
        answers: list[Answer] = []
        for start in range(0, len(bodies), _PORTION):
            answers += await self.submit(bodies[start : start + _PORTION], dry_run=dry_run)
        return answers

    def _check(self) -> None:
        reason = self.not_ready
        if reason is not None:
            raise NotReady(f"detector {self.name!r} is not ready: {reason}")
        if len(self._waiting) >= self.settings.queue_limit:
            self.measures.turned_away += 1
            raise Busy(f"{len(self._waiting)} callers wait for decisions; come again")

    def _publish(
        self, bodies: Sequence[bytes], trace: bytes
    ) -> "tuple[list[Answer | None], dict[int, tuple[str, asyncio.Future[bytes]]]]":
        """Publish new events, and answer refused and known ones. Returns answers, and pending futures, by position."""
        loop, now = asyncio.get_running_loop(), time.perf_counter_ns()
        answers, fresh = self._sorted(bodies)
        waiters: dict[int, tuple[str, asyncio.Future[bytes]]] = {}
        for place, transaction_id, body in fresh:
            future: asyncio.Future[bytes] = loop.create_future()
            self._waiting.setdefault(transaction_id, []).append((future, now))
            waiters[place] = transaction_id, future
            self._put("transactions", transaction_id, body, partial(_fail, loop, future), trace)
        return answers, waiters

    def _sorted(self, bodies: Sequence[bytes]) -> tuple[list[Answer | None], list[tuple[int, str, bytes]]]:
        """Answers for refused and already decided events, and the other events with their ids, as they are published."""
        engine = self.engine
        read = engine.reader.read(bodies, engine.clock())
        answers: list[Answer | None] = [None] * len(bodies)
        for place, refusal in read.refused:
            answers[place] = refusal
            self.feed.refused += 1
            self.quarantine_refused(bodies[place], refusal)
        known = engine.claims.peek(read.id_codes, read.batch.arrived_us) >= 0
        fresh = []
        for row, place in enumerate(read.rows.tolist()):
            if known[row]:
                [answers[place]] = engine.decide_json([bodies[place]], dry_run=True)
            else:
                transaction_id = read.batch.ids[row]
                fresh.append((place, transaction_id, _with_id(bodies[place], engine.detector.id, transaction_id)))
        return answers, fresh

    def _put(self, role: str, key: str, body: bytes, done: OnAcknowledged | None = None, trace: bytes = b"") -> None:
        assert self.followed is not None
        if role == "transactions":
            self._asked_for.pop(key, None)  # a question before this one says nothing any more
        self.followed.outlet.put(role, key, body, done, trace=trace)

    def _fallback(self, transaction_id: str, body: bytes, future: "asyncio.Future[bytes]") -> bytes:
        """The fallback decision for one event; stored, so that lookups show it next to the final decision."""
        waiters = self._waiting.get(transaction_id, [])
        waiters[:] = [waiter for waiter in waiters if waiter[0] is not future]
        if not waiters:
            self._waiting.pop(transaction_id, None)
        future.cancel()
        self.measures.late += 1
        cause = f"no decision within {self.settings.predict_budget_ms:g} ms"
        on_answer = fallback_decision(self.engine, transaction_id, body, cause, self._on_timeout)
        answered = FallbackAnswer(self.name, transaction_id, on_answer.decision, cause, self.engine.clock())
        with suppress(BrokerError):
            self._put("answers", transaction_id, _encode(answered))
        return _encode(on_answer)

    # ---------------------------------------------------------------- events without a wait

    async def accept(self, bodies: Sequence[bytes]) -> list[str | Refusal]:
        """Publish transactions; returns the ids once the broker has them."""
        self._check()
        read = self.engine.reader.read(bodies, self.engine.clock())
        answers: list[str | Refusal] = [""] * len(bodies)
        for place, refusal in read.refused:
            answers[place] = refusal
            self.quarantine_refused(bodies[place], refusal)
        sent = []
        for row, place in enumerate(read.rows.tolist()):
            transaction_id = read.batch.ids[row]
            answers[place] = transaction_id
            sent.append(("transactions", transaction_id, _with_id(bodies[place], self.engine.detector.id, transaction_id)))
        await self._confirmed(sent)
        return answers

    async def settled(self, transaction_id: str) -> bool:
        """See `ServedDetector.settled`: the journal has passed the end of the inbox, as it stood at the first question."""
        self._check()
        assert self.followed is not None
        mark = self._asked_for.get(transaction_id)
        if mark is None:
            if len(self._asked_for) >= _MOST_ASKED_FOR:
                self._asked_for.pop(next(iter(self._asked_for)))
            mark = self._asked_for[transaction_id] = await asyncio.to_thread(self._parts.broker.inbox_mark)
        if not self._parts.broker.covers(self.followed.taken_in, mark):
            return False
        self._asked_for.pop(transaction_id, None)
        return True

    async def label(self, body: bytes) -> list[dict[str, Any] | Refusal]:
        """Publish labels; the worker holds each back until its transaction has been decided."""
        self._check()
        answers: list[dict[str, Any] | Refusal] = []
        sent = []
        for statement in read_statements([body], self.engine.detector.schema.naive_times)[0]:
            if isinstance(statement, Refusal):
                answers.append(statement)
                continue
            known_at = None if statement.known_us is None else iso(statement.known_us)
            said = {"transaction_id": statement.transaction_id, "fraud": statement.fraud, "known_at": known_at}
            said |= {"kind": statement.kind, "source": statement.source}
            sent.append(("labels", statement.transaction_id, _encode(said)))
            answers.append({"transaction_id": statement.transaction_id, "fraud": statement.fraud, "accepted": True})
        await self._confirmed(sent)
        return answers

    async def inform(self, bodies: Sequence[bytes]) -> list[Refusal | None]:
        """Publish informing events."""
        self._check()
        read = self.engine.reader.read(bodies, self.engine.clock())
        answers: list[Refusal | None] = [None] * len(bodies)
        for place, refusal in [*read.refused, *self.engine.not_informing(read)]:
            answers[place] = refusal
        for place, refusal in read.refused:
            self.quarantine_refused(bodies[place], refusal)
        sent = [
            ("transactions", read.batch.ids[row], _with_id(bodies[place], self.engine.detector.id, read.batch.ids[row]))
            for row, place in enumerate(read.rows.tolist())
            if answers[place] is None
        ]
        await self._confirmed(sent)
        return answers

    def quarantine_refused(self, body: bytes, refusal: Refusal, *, unrouted: bool = False) -> None:  # noqa: ARG002 - it has one detector
        """Forward an event refused for its content to the worker's quarantine."""
        self._forwarder.enqueue(self.engine, body, refusal)

    async def _confirmed(self, messages: Sequence[tuple[str, str, bytes]]) -> None:
        """Publish, and return when the broker has confirmed all messages.

        Raises:
            BrokerError: it did not take one.
        """
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[bytes]] = []
        for role, key, body in messages:
            future: asyncio.Future[bytes] = loop.create_future()
            futures.append(future)
            self._put(role, key, body, partial(_settle, loop, future))
        try:
            await asyncio.wait_for(asyncio.gather(*futures), _CONFIRMED_WITHIN_S)
        except TimeoutError:
            raise BrokerError(
                f"the broker has not confirmed a message for {_CONFIRMED_WITHIN_S:g} s; send it again later, its id makes "
                "that safe"
            ) from None


def _with_id(body: bytes, field: str, transaction_id: str) -> bytes:
    """The event with its id set: callers may leave the id out, and need it to look the event up."""
    if transaction_id.encode() in body:
        return body
    event = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return _encode({field: transaction_id, **{name: value for name, value in event.items() if name != field}})


def _fail(loop: asyncio.AbstractEventLoop, future: "asyncio.Future[bytes]", error: BaseException | None) -> None:
    """Called on the broker client's thread: fail a waiting caller at once if the broker did not take the event."""
    if error is not None:
        loop.call_soon_threadsafe(_raise, future, error)


def _settle(loop: asyncio.AbstractEventLoop, future: "asyncio.Future[bytes]", error: BaseException | None) -> None:
    if error is not None:
        loop.call_soon_threadsafe(_raise, future, error)
    else:
        loop.call_soon_threadsafe(_finish, future)


def _raise(future: "asyncio.Future[bytes]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _finish(future: "asyncio.Future[bytes]") -> None:
    if not future.done():
        future.set_result(b"")
