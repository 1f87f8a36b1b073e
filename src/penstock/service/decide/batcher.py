"""The micro-batcher of a detector: queues requests, joins them into micro-batches, and answers when these are durable."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from penstock.config import Settings
from penstock.engine import Engine
from penstock.errors import LedgerError, NotReady
from penstock.messages import Refusal
from penstock.service.decide.feed import Feed, Measures
from penstock.service.decide.port import Answer, OnAnswer, OnDurable, Opener
from penstock.service.decide.waiters import id_of
from penstock.service.http.problems import Busy, of_error
from penstock.service.http.tracing import CURRENT, Traced

_log = logging.getLogger("penstock.service")

PIPELINED = 2
"""Batches in progress at once: one being made durable, the next being decided. More would only make them smaller."""

WORTH_A_BATCH = 64
"""Events that must wait before a batch is decided while another is being written. A smaller batch costs nearly as much as
this one; its events wait for the current write, a fraction of a millisecond, and share the next.
"""


OPENING = "code is being compiled and state is being recovered"
"""Why a detector that is being opened cannot serve."""

STALLED_S = 30.0
"""Seconds that a batch may take to become durable before its callers get an error."""


class AnswerCallback:
    """Takes the place of a caller's future with a callback, which gets the answer to one event as soon as there is one."""

    __slots__ = ("_call", "_done")

    def __init__(self, call: OnAnswer) -> None:
        self._call, self._done = call, False

    def done(self) -> bool:
        """Whether it was called."""
        return self._done

    def set_result(self, answers: list[Answer]) -> None:
        """Call it with the answer."""
        self._finish(answers[0])

    def set_exception(self, error: Exception) -> None:
        """Call it with the reason why there is none."""
        self._finish(error)

    def _finish(self, answer: Answer | Exception) -> None:
        self._done = True
        try:
            self._call(answer)
        except Exception:  # noqa: BLE001 - others of the batch wait for their answers
            _log.exception("an answer could not be sent")


class WaitingRequest:
    """Events of one caller, queued or in a batch."""

    __slots__ = ("answer", "bodies", "dry_run", "since_ns", "traced")

    def __init__(
        self, bodies: Sequence[bytes], answer: "asyncio.Future[list[Answer]] | AnswerCallback", *, dry_run: bool
    ) -> None:
        self.bodies = bodies
        self.answer = answer
        self.dry_run = dry_run
        self.since_ns = time.perf_counter_ns()
        self.traced = CURRENT.get()

    def fail(self, error: Exception) -> None:
        """Answer the caller with an error, unless it has been answered."""
        if not self.answer.done():
            self.answer.set_exception(error)


class MicroBatch:
    """The events of one engine call. `left` is called once, on the event loop, when the batch is finished."""

    __slots__ = ("_decided_ns", "_left", "_loop", "_measures", "_on_the_way", "_taken", "_taken_ns", "_watchdog", "answers")

    def __init__(self, taken: list[WaitingRequest], measures: Measures, left: Callable[["MicroBatch"], None]) -> None:
        self.answers: list[Answer] = []
        self._on_the_way = True
        self._taken = taken
        self._measures = measures
        self._left = left
        self._loop = asyncio.get_running_loop()
        self._taken_ns = self._decided_ns = time.perf_counter_ns()
        self._watchdog: asyncio.TimerHandle | None = None

    @property
    def dry_run(self) -> bool:
        """Whether it changes and records nothing."""
        return self._taken[0].dry_run

    @property
    def bodies(self) -> list[bytes]:
        """All events, in the order of their callers."""
        return [body for waiting in self._taken for body in waiting.bodies]

    def decided(self, answers: list[Answer], *, stalled: Callable[[], None]) -> None:
        """Store the engine's answers until they are durable."""
        self.answers = answers
        self._decided_ns = time.perf_counter_ns()
        self._watchdog = self._loop.call_later(STALLED_S, stalled)

    def on_durable(self, error: BaseException | None) -> None:
        """Called on the ledger's thread: everything is durable, or never will be."""
        self._loop.call_soon_threadsafe(self.settle, error)

    def settle(self, error: BaseException | None = None) -> None:
        """Answer every caller once; on the event loop."""
        if not self._on_the_way:
            return
        self._on_the_way = False
        if self._watchdog is not None:
            self._watchdog.cancel()
        if error is None:
            self._answer()
        else:
            self.answers = []
            self.fail(of_error(error))
        self._left(self)

    def fail(self, error: Exception) -> None:
        """Answer every waiting caller with this error."""
        for waiting in self._taken:
            waiting.fail(error)

    def _answer(self) -> None:
        now_ns = time.perf_counter_ns()
        self._measures.batch(len(self.answers), self._decided_ns - self._taken_ns, now_ns - self._decided_ns)
        start = 0
        for waiting in self._taken:
            stop = start + len(waiting.bodies)
            if not waiting.answer.done():
                waiting.answer.set_result(self.answers[start:stop])
            self._measures.request(self._taken_ns - waiting.since_ns, now_ns - waiting.since_ns)
            if waiting.traced is not None:
                self._trace(waiting, waiting.traced, self.answers[start], now_ns)
            start = stop

    def _trace(self, waiting: WaitingRequest, traced: Traced, answer: Answer, now_ns: int) -> None:
        """Record the stage times of one traced caller."""
        traced.went("queue", waiting.since_ns, self._taken_ns)
        traced.went("decide", self._taken_ns, self._decided_ns)
        traced.went("durable", self._decided_ns, now_ns)
        if traced.answer is None and isinstance(answer, bytes):
            traced.answer = answer


async def durable(work: Callable[[OnDurable], Any]) -> Any:
    """Run work that reports durability through a callback, and wait for it.

    Raises:
        LedgerError: it failed, or took longer than the disk may take.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    result = work(lambda error: _from_thread(loop, done, error))
    try:
        await asyncio.wait_for(done, STALLED_S)
    except TimeoutError:
        raise stalled_error() from None
    return result


def stalled_error() -> LedgerError:
    """The error for callers whose events were decided but could not be made durable in time."""
    return LedgerError(
        f"the disk has not confirmed a write for {STALLED_S:.0f} s, so nothing is acknowledged; "
        "send the same request again later, its transaction id makes that safe"
    )


def _from_thread(loop: asyncio.AbstractEventLoop, done: "asyncio.Future[None]", error: BaseException | None) -> None:
    loop.call_soon_threadsafe(_finish, done, error)


def _finish(done: "asyncio.Future[None]", error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


class MicroBatcher:
    """Micro-batching for one detector: a bounded queue, one batch being decided, one being made durable.

    There is no timer: a batch is whatever queued while the last one was decided or written, so a lone request is decided
    at once, and concurrent requests share the cost of one batch. Everything runs on the event loop's thread; only the
    durability callback comes from another. models_trouble: why newer models cannot be loaded. opening: says what is done
    before the detector is open.
    """

    def __init__(self, name: str, opener: Opener, settings: Settings, opening: Callable[[], str] = lambda: OPENING) -> None:
        self.name = name
        self.settings = settings
        self.measures = Measures()
        self.feed = Feed()
        self.models_trouble: str | None = None
        self._opener, self._opening = opener, opening
        self._engine: Engine | None = None
        self._queue: deque[WaitingRequest] = deque()
        self._queued_events = 0
        self._on_the_way: set[MicroBatch] = set()
        self._due = False
        self.stalled = False
        self._idle = asyncio.Event()
        self._idle.set()

    @classmethod
    def of(cls, engine: Engine, settings: Settings) -> "MicroBatcher":
        """A micro-batcher for an engine that is already open."""
        served = cls(engine.detector.name, lambda: engine, settings)
        served._engine = engine
        return served

    # ---------------------------------------------------------------- opening and closing

    async def open(self) -> None:
        """Load models and recover state in a thread; until then callers get 503 with the reason."""
        if self._engine is None:
            self._engine = await asyncio.to_thread(self._opener)
            if self._engine.ready is not None:
                _log.warning("%s decides nothing: %s", self.name, self._engine.ready)

    async def close(self) -> None:
        """Answer accepted requests, then flush, snapshot and close the engine."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), STALLED_S)
        if self._engine is not None:
            engine, self._engine = self._engine, None
            await asyncio.to_thread(engine.close)

    @property
    def not_ready(self) -> str | None:
        """None, or the reason why this detector cannot serve."""
        if self._engine is None:
            return self._opening()
        waits = self._engine.ready
        return waits if waits is None or self.models_trouble is None else f"{waits}; {self.models_trouble}"

    @property
    def unable(self) -> str | None:
        """The reason for which `submit` refuses; see `ServedDetector.unable`."""
        reason = self.not_ready
        if reason is not None or self._engine is None:
            return reason
        trouble = stalled_error() if self.stalled else self._engine.ledger.trouble
        return None if trouble is None else str(trouble)

    @property
    def degraded(self) -> str | None:
        """See `ServedDetector.degraded`."""
        return None if self._engine is None else self._engine.pipeline.state.full

    @property
    def engine(self) -> Engine:
        """The engine.

        Raises:
            NotReady: it is still being opened.
        """
        if self._engine is None:
            raise NotReady(f"detector {self.name!r} is not ready: {self.not_ready}")
        return self._engine

    @property
    def queued_events(self) -> int:
        """Number of events in the queue."""
        return self._queued_events

    # ---------------------------------------------------------------- decisions

    def submit(self, bodies: Sequence[bytes], *, dry_run: bool = False) -> "asyncio.Future[list[Answer]]":
        """Queue at most `max_batch` events of one caller; the answers come in order, once durable.

        Raises:
            NotReady: models or state are not loaded yet.
            LedgerError: the disk does not answer.
            Busy: the queue is full.
        """
        self._check(dry_run=dry_run)
        return self._enqueue(bodies, dry_run=dry_run)

    def ask(self, body: bytes, on_answer: OnAnswer) -> None:
        """See `ServedDetector.ask`."""
        self._check(dry_run=False)
        self._queue_up(WaitingRequest((body,), AnswerCallback(on_answer), dry_run=False))

    def _check(self, *, dry_run: bool) -> None:
        engine = self._engine
        if engine is None or engine.ready is not None:
            raise NotReady(f"detector {self.name!r} is not ready: {self.not_ready}")
        if not dry_run and (self.stalled or engine.ledger.trouble is not None) and (trouble := self.unable) is not None:
            raise LedgerError(trouble)
        if self._queued_events >= self.settings.queue_limit:
            self.measures.turned_away += 1
            raise Busy(
                f"{self._queued_events} events wait to be decided and the limit is {self.settings.queue_limit}; come again"
            )

    async def decide(self, bodies: Sequence[bytes], *, dry_run: bool = False) -> list[Answer]:
        """Decide any number of events of one caller, in order.

        A long list is split into portions of half a batch, two of them at a time, so that other callers' events fit
        between. It is admitted once; its later portions wait for room.
        """
        if not bodies:
            return []
        size = max(1, self.settings.max_batch // 2)
        answers: list[Answer] = []
        ahead = self.submit(bodies[:size], dry_run=dry_run)
        for start in range(size, len(bodies), size):
            following = self._enqueue(bodies[start : start + size], dry_run=dry_run)
            try:
                answers += await ahead
            except BaseException:
                following.cancel()
                raise
            ahead = following
        return answers + await ahead

    def _enqueue(self, bodies: Sequence[bytes], *, dry_run: bool) -> "asyncio.Future[list[Answer]]":
        answer: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        self._queue_up(WaitingRequest(bodies, answer, dry_run=dry_run))
        return answer

    def _queue_up(self, waiting: WaitingRequest) -> None:
        self._queue.append(waiting)
        self._queued_events += len(waiting.bodies)
        self._idle.clear()
        self._wake()

    async def accept(self, bodies: Sequence[bytes]) -> list[str | Refusal]:
        """Accept transactions; returns their ids once decisions are certain: here, once they are made."""
        answers = await self.decide(bodies)
        return [answer if isinstance(answer, Refusal) else msgspec.json.decode(id_of(answer), type=str) for answer in answers]

    async def settled(self, transaction_id: str) -> bool:
        """See `ServedDetector.settled`: no event with this id waits to be decided, or for the disk."""
        sought = msgspec.json.encode(transaction_id)
        flying = (body for batch in self._on_the_way if not batch.dry_run for body in batch.bodies)
        queued = (body for waiting in self._queue if not waiting.dry_run for body in waiting.bodies)
        return not any(sought in body for body in (*flying, *queued))

    # ---------------------------------------------------------------- batches

    def _wake(self) -> None:
        """Schedule a batch for the next turn of the loop, so that pending requests join it; nothing else starts a batch."""
        free = not self._on_the_way or (self._queued_events >= WORTH_A_BATCH and len(self._on_the_way) < PIPELINED)
        if self._queue and free and not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._decide_batch)

    def _take(self) -> list[WaitingRequest]:
        """The next batch: callers in order, all real or all dry runs, up to `max_batch` events; skips callers who
        disconnected.
        """
        taken: list[WaitingRequest] = []
        events = 0
        while self._queue:
            waiting = self._queue[0]
            events += len(waiting.bodies)
            if taken and (events > self.settings.max_batch or waiting.dry_run != taken[0].dry_run):
                break
            self._queue.popleft()
            self._queued_events -= len(waiting.bodies)
            if waiting.answer.done():
                events -= len(waiting.bodies)
            else:
                taken.append(waiting)
        return taken

    def _decide_batch(self) -> None:
        self._due = False
        taken = self._take()
        if taken:
            batch = MicroBatch(taken, self.measures, self._left)
            self._on_the_way.add(batch)
            self._decide(batch)
        self._rest()

    def _decide(self, batch: MicroBatch) -> None:
        on_durable = None if batch.dry_run else batch.on_durable
        try:
            answers = self.engine.decide_json(batch.bodies, dry_run=batch.dry_run, on_durable=on_durable)
        except Exception as error:  # noqa: BLE001 - whatever happened, the callers are told and the next batch goes on
            batch.settle(error)
            return
        batch.decided(answers, stalled=self._stall)
        if batch.dry_run:
            batch.settle()

    def _left(self, batch: MicroBatch) -> None:
        """Called when a batch was answered: start the next."""
        self._on_the_way.discard(batch)
        self.stalled = False
        if not batch.dry_run:
            self.feed.decided(batch.answers)
        self._rest()

    def _rest(self) -> None:
        if self._queue:
            self._wake()
        elif not self._on_the_way:
            self._idle.set()

    def _stall(self) -> None:
        """Called when the disk does not answer: fail waiting callers, and new ones at once, until it does."""
        self.stalled = True
        refused = of_error(stalled_error())
        for batch in self._on_the_way:
            batch.fail(refused)
        for waiting in self._queue:
            waiting.fail(refused)

    # ---------------------------------------------------------------- labels, informing events, refusals

    async def label(self, body: bytes) -> list[dict[str, Any] | Refusal]:
        """Submit one label or an array of them; answered when durable."""
        result: list[dict[str, Any] | Refusal] = await durable(
            lambda on_answer: self.engine.label_json(body, on_durable=on_answer)
        )
        return result

    def quarantine_refused(self, body: bytes, refusal: Refusal, *, unrouted: bool = False) -> None:
        """Quarantine an event that was refused for its content before it reached the engine."""
        self.engine.quarantine_refused(body, refusal, unrouted=unrouted)

    async def inform(self, bodies: Sequence[bytes]) -> list[Refusal | None]:
        """Submit informing events; answered when durable."""
        result: list[Refusal | None] = await durable(lambda on_answer: self.engine.inform_json(bodies, on_durable=on_answer))
        return result
