"""A micro-batch in progress: decided, then made durable, then answered to every caller with an event in it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from penstock.errors import LedgerError
from penstock.service.decide.feed import Measures
from penstock.service.decide.port import Answer, OnDurable
from penstock.service.http.problems import of_error
from penstock.service.http.tracing import CURRENT, Traced

STALLED_S = 30.0
"""Seconds that a batch may take to become durable before its callers get an error."""


class Waiting:
    """Events of one caller, queued or in a batch."""

    __slots__ = ("answer", "bodies", "dry_run", "since_ns", "traced")

    def __init__(self, bodies: Sequence[bytes], answer: "asyncio.Future[list[Answer]]", *, dry_run: bool) -> None:
        self.bodies = bodies
        self.answer = answer
        self.dry_run = dry_run
        self.since_ns = time.perf_counter_ns()
        self.traced = CURRENT.get()

    def fail(self, error: Exception) -> None:
        """Answer the caller with an error, unless it has been answered."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Batch:
    """The events of one engine call. `left` is called once, on the event loop, when the batch is finished."""

    __slots__ = ("_decided_ns", "_left", "_loop", "_measures", "_on_the_way", "_taken", "_taken_ns", "_watchdog", "answers")

    def __init__(self, taken: list[Waiting], measures: Measures, left: Callable[["Batch"], None]) -> None:
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

    def _trace(self, waiting: Waiting, traced: Traced, answer: Answer, now_ns: int) -> None:
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
