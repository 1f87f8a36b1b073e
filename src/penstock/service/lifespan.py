"""Startup and shutdown of a service: opens detectors, runs background tasks, closes everything at the end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from penstock.service.decide.detectors import DetectorRouter

Work = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class Background:
    """The background work of one application, from its start to its end; every part adds its own.

    first: runs in this order when the detectors are open, before any decision. following: tasks started after that.
    beside: tasks that run from the start, whether detectors are open or not. closing: runs in this order at the end,
    before the detectors are closed.

    Args:
        desks: opened at the start, closed at the end.
        on_ready: called once when they are open, and `first` is done.
        on_failure: called when opening fails, and nothing is followed then; and when a part cannot be closed.
    """

    desks: DetectorRouter
    on_ready: Callable[[], None] = lambda: None
    on_failure: Callable[[BaseException], None] = lambda _error: None
    first: list[Work] = field(default_factory=list)
    following: list[Work] = field(default_factory=list)
    beside: list[Work] = field(default_factory=list)
    closing: list[Work] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncIterator[None]:
        """The context of the running application."""
        async with contextlib.AsyncExitStack() as ending:  # last in, first out; each runs whatever became of the others
            ending.push_async_callback(self._close_desks)
            for close in reversed(self.closing):
                ending.push_async_callback(self._closed, close)
            for work in (self._run, *self.beside):
                ending.push_async_callback(_cancel, asyncio.ensure_future(work()))
            yield

    async def _close_desks(self) -> None:
        await asyncio.gather(*(self._closed(desk.close) for desk in self.desks.values()))

    async def _closed(self, close: Work) -> None:
        """Close one part; a failure goes to `on_failure`."""
        try:
            await close()
        except Exception as error:  # noqa: BLE001 - the others are closed all the same
            self.on_failure(error)

    async def _run(self) -> None:
        try:
            for work in self._opening():
                await work()
        except Exception as error:  # noqa: BLE001 - whoever started the service decides what a failed start means
            self.on_failure(error)
            return
        self.on_ready()
        await asyncio.gather(*(work() for work in self.following))

    def _opening(self) -> Sequence[Work]:
        return [*(desk.open for desk in self.desks.values()), *self.first]


async def _cancel(task: "asyncio.Future[object]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
