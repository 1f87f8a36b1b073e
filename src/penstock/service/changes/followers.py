"""Followers in a service: they load in a thread, and apply on the event loop between two batches."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from penstock.engine.following import Follower, ModelFollower
from penstock.service.decide.port import ServedDetector


class FollowerTask:
    """Drives a follower for one detector, so that every request is answered by one configuration as a whole.

    Args:
        then: called when a change is in force, but for the first.
    """

    def __init__(
        self, served: ServedDetector, follower: Follower[Any], then: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        self.follower = follower
        self._served, self._then = served, then
        self._followed = False
        self._stopped = threading.Event()
        self._loading: asyncio.Future[Any] | None = None
        self._looking = asyncio.Lock()

    async def run(self) -> None:
        """Follow until the task is cancelled; poll less often after failures."""
        pause_s = self.follower.every_s
        while True:
            pause_s = self.follower.pause_s(pause_s, failed=not await self.look())
            await asyncio.sleep(pause_s)

    async def look(self) -> bool:
        """Poll once, and apply what is newer; whether that succeeded. What fails changes nothing."""
        follower, change = self.follower, None
        async with self._looking:
            try:
                engine = self._served.engine
                self._loading = asyncio.get_running_loop().run_in_executor(None, follower.load, engine, self._stopped.is_set)
                change = await asyncio.shield(self._loading)
                if change is not None and not self._stopped.is_set():
                    follower.apply(engine, change)
                    await asyncio.to_thread(follower.settle, engine, change)
                    if self._followed and self._then is not None:
                        await self._then()
                    self._followed = True
                follower.trouble = None
            except Exception as error:  # noqa: BLE001 - whatever fails, what decides goes on deciding
                await asyncio.to_thread(follower.fail, change, error)
            if isinstance(follower, ModelFollower):
                self._served.models_trouble = follower.trouble  # why a detector without models is not ready
            return follower.trouble is None

    async def close(self) -> None:
        """End what is being loaded, before the engine is closed."""
        self._stopped.set()
        if self._loading is not None:
            with suppress(Exception, asyncio.CancelledError):
                await self._loading
