"""Values that take seconds to compute, for routes that must not wait: computed in a thread, answered from the newest."""

import asyncio
import logging
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from penstock.clock import SECOND_US, Clock

T = TypeVar("T")

LEAST_REST_S = 1.0
REST = 20
"""Seconds, and the multiple of the time that a computation took, before the same value is computed again."""

FIRST_S = 20.0
"""Seconds that a request waits for a value that was never computed."""

_log = logging.getLogger("penstock.service")


@dataclass(frozen=True, slots=True)
class Computed(Generic[T]):
    """A value, with the instant at which its computation began, and the end of the log when it was asked for."""

    value: T
    at_us: int
    position: int


class ComputedValues(Generic[T]):
    """The newest value by key, computed by one thread. Used on the event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._newest: dict[Hashable, Computed[T]] = {}
        self._resting_until_us: dict[Hashable, int] = {}
        self._running: dict[Hashable, asyncio.Future[None]] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="penstock-computed")

    def newest(self, key: Hashable, position: int, compute: Callable[[], T]) -> Computed[T] | None:
        """The newest value; None until the first is computed. Never waits: a computation starts if none is known, or if the
        log has grown and the last one is long enough ago (see `REST`). position: where the log ends now.
        """
        known = self._newest.get(key)
        due = (known is None or known.position != position) and self._clock() >= self._resting_until_us.get(key, 0)
        if due and key not in self._running:
            work = partial(self._compute, key, position, compute)
            self._running[key] = asyncio.get_running_loop().run_in_executor(self._thread, work)
            self._running[key].add_done_callback(partial(self._ended, key))
        return known

    async def first_or_newest(self, key: Hashable, position: int, compute: Callable[[], T]) -> Computed[T] | None:
        """The newest value, waiting for the first one; None if that takes longer than `FIRST_S`, or fails."""
        if (known := self.newest(key, position, compute)) is None and key in self._running:
            await asyncio.wait({self._running[key]}, timeout=FIRST_S)
            known = self._newest.get(key)
        return known

    def _compute(self, key: Hashable, position: int, compute: Callable[[], T]) -> None:
        begun_us = self._clock()
        try:
            self._newest[key] = Computed(compute(), begun_us, position)
        finally:
            ended_us = self._clock()
            rest_us = max(round(LEAST_REST_S * SECOND_US), REST * (ended_us - begun_us))
            self._resting_until_us[key] = ended_us + rest_us

    def _ended(self, key: Hashable, done: "asyncio.Future[None]") -> None:
        del self._running[key]
        if not done.cancelled() and done.exception() is not None:  # the newest value stays, and the next try is later
            _log.warning("%s cannot be computed: %s", key, done.exception())

    async def close(self) -> None:
        """Wait for the running computation; those in the queue are cancelled."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._thread.shutdown)
