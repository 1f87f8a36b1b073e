"""The micro-batcher of a detector: queues requests, joins them into micro-batches, and answers when these are durable."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from penstock.config import Settings
from penstock.engine import Engine
from penstock.errors import LedgerError, NotReady
from penstock.messages import Refusal
from penstock.models import Ensemble
from penstock.service.decide.batch import STALLED_S, Batch, Waiting, durable, stalled_error
from penstock.service.decide.feed import Feed, Measures
from penstock.service.decide.port import Answer, Opener
from penstock.service.decide.waiters import id_of
from penstock.service.http.problems import Busy, of_error

PIPELINED = 2
"""Batches in progress at once: one being made durable, the next being decided. More would only make them smaller."""

WORTH_A_BATCH = 64
"""Events that must wait before a batch is decided while another is being written. A smaller batch costs nearly as much as
this one; its events wait for the current write, a fraction of a millisecond, and share the next.
"""


class MicroBatcher:
    """Micro-batching for one detector: a bounded queue, one batch being decided, one being made durable.

    There is no timer: a batch is whatever queued while the last one was decided or written, so a lone request is decided
    at once, and concurrent requests share the cost of one batch. Everything runs on the event loop's thread; only the
    durability callback comes from another. models_trouble: why newer models cannot be loaded.
    """

    def __init__(self, name: str, opener: Opener, settings: Settings) -> None:
        self.name = name
        self.settings = settings
        self.measures = Measures()
        self.feed = Feed()
        self.models_trouble: str | None = None
        self._opener = opener
        self._engine: Engine | None = None
        self._queue: deque[Waiting] = deque()
        self._queued_events = 0
        self._on_the_way: set[Batch] = set()
        self._due = False
        self.stalled = False
        self._idle = asyncio.Event()
        self._idle.set()

    @classmethod
    def of(cls, engine: Engine, settings: Settings) -> "MicroBatcher":
        """A micro-batcher for an engine that is already open."""
        desk = cls(engine.detector.name, lambda: engine, settings)
        desk._engine = engine
        return desk

    # ---------------------------------------------------------------- opening and closing

    async def open(self) -> None:
        """Load models and recover state in a thread; until then callers get 503 with the reason."""
        if self._engine is None:
            self._engine = await asyncio.to_thread(self._opener)

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
            return "code is being compiled and state is being recovered"
        waits = self._engine.ready
        return waits if waits is None or self.models_trouble is None else f"{waits}; {self.models_trouble}"

    @property
    def unable(self) -> str | None:
        """The reason for which `submit` refuses; see `Serving.unable`."""
        reason = self.not_ready
        if reason is not None or self._engine is None:
            return reason
        trouble = stalled_error() if self.stalled else self._engine.ledger.trouble
        return None if trouble is None else str(trouble)

    @property
    def degraded(self) -> str | None:
        """See `Serving.degraded`."""
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

    def use(self, ensemble: Ensemble) -> None:
        """Decide with these models from the next batch on.

        Raises:
            BundleError: they do not fit the detector.
        """
        self.engine.use(ensemble)

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
        reason = self.not_ready
        if reason is not None:
            raise NotReady(f"detector {self.name!r} is not ready: {reason}")
        if not dry_run and (trouble := self.unable) is not None:
            raise LedgerError(trouble)
        if self._queued_events >= self.settings.queue_limit:
            self.measures.turned_away += 1
            raise Busy(
                f"{self._queued_events} events wait to be decided and the limit is {self.settings.queue_limit}; come again"
            )
        return self._enqueue(bodies, dry_run=dry_run)

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
        self._queue.append(Waiting(bodies, answer, dry_run=dry_run))
        self._queued_events += len(bodies)
        self._idle.clear()
        self._wake()
        return answer

    async def accept(self, bodies: Sequence[bytes]) -> list[str | Refusal]:
        """Accept transactions; returns their ids once decisions are certain: here, once they are made."""
        answers = await self.decide(bodies)
        return [answer if isinstance(answer, Refusal) else msgspec.json.decode(id_of(answer), type=str) for answer in answers]

    # ---------------------------------------------------------------- batches

    def _wake(self) -> None:
        """Schedule a batch for the next turn of the loop, so that pending requests join it; nothing else starts a batch."""
        free = not self._on_the_way or (self._queued_events >= WORTH_A_BATCH and len(self._on_the_way) < PIPELINED)
        if self._queue and free and not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._decide_batch)

    def _take(self) -> list[Waiting]:
        """The next batch: callers in order, all real or all dry runs, up to `max_batch` events; skips callers who
        disconnected.
        """
        taken: list[Waiting] = []
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
            batch = Batch(taken, self.measures, self._left)
            self._on_the_way.add(batch)
            self._decide(batch)
        self._rest()

    def _decide(self, batch: Batch) -> None:
        on_durable = None if batch.dry_run else batch.on_durable
        try:
            answers = self.engine.decide_json(batch.bodies, dry_run=batch.dry_run, on_durable=on_durable)
        except Exception as error:  # noqa: BLE001 - whatever happened, the callers are told and the next batch goes on
            batch.settle(error)
            return
        batch.decided(answers, stalled=self._stall)
        if batch.dry_run:
            batch.settle()

    def _left(self, batch: Batch) -> None:
        """Called when a batch was answered: start the next."""
        self._on_the_way.discard(batch)
        self.stalled = False
        if not batch.dry_run:
            self.feed.saw(batch.answers)
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
        result: list[dict[str, Any] | Refusal] = await durable(lambda told: self.engine.label_json(body, on_durable=told))
        return result

    def set_aside(self, body: bytes, refusal: Refusal, *, nobodys: bool = False) -> None:
        """Quarantine an event that was refused for its content before it reached the engine."""
        self.engine.set_aside(body, refusal, nobodys=nobodys)

    async def inform(self, bodies: Sequence[bytes]) -> list[Refusal | None]:
        """Submit informing events; answered when durable."""
        result: list[Refusal | None] = await durable(lambda told: self.engine.inform_json(bodies, on_durable=told))
        return result
