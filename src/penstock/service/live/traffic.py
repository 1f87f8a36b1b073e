"""Simulated traffic inside the process, for the demo, decided like any other events."""

import asyncio
import contextlib
import itertools
import logging
import queue
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

from penstock.errors import PenstockError
from penstock.service.decide.port import ServedDetector
from penstock.service.http.problems import RequestRefused

log = logging.getLogger("penstock.service")

TICK_S = 0.05
LONGEST_CATCH_UP_S = 1.0
"""After a pause (a full queue) at most this much of the missed traffic is caught up."""


class TrafficSender:
    """Sends JSON events from an iterator to one detector, `tps` a second, until they end or the service stops.

    attacks: the available attacks, by name; each is called when its button is pressed, and returns the ids of the events
    that it will send, so that a page can show when the first of them was stopped. example: the newest event that was
    sent. labels: labels of sent events, as JSON, to be submitted to the same detector.
    """

    def __init__(
        self,
        detector: str,
        bodies: Iterator[bytes],
        tps: float,
        attacks: Mapping[str, Callable[[], Sequence[str]]] | None = None,
        labels: "queue.SimpleQueue[bytes] | None" = None,
    ) -> None:
        self.detector = detector
        self.tps = tps
        self.attacks = dict(attacks or {})
        self.example: bytes | None = None
        self._bodies = bodies
        self._labels = labels

    async def run(self, served: ServedDetector) -> None:
        """Send the events; the iterator runs in a thread, since it may compute for a while."""
        sent, start = 0, time.perf_counter()
        while True:
            await asyncio.sleep(TICK_S)
            due = int((time.perf_counter() - start) * self.tps)
            sent = max(sent, due - max(1, int(LONGEST_CATCH_UP_S * self.tps)))
            if due > sent:
                bodies = await asyncio.to_thread(list, itertools.islice(self._bodies, due - sent))
                if not bodies:
                    return
                sent += len(bodies)
                await self._send(served, bodies)
                await self._label(served)

    async def _send(self, served: ServedDetector, bodies: list[bytes]) -> None:
        try:
            await served.decide(bodies)
            self.example = bodies[-1]
        except (PenstockError, RequestRefused) as error:
            log.debug("simulated traffic was turned away: %s", error)

    async def _label(self, served: ServedDetector) -> None:
        labels = []
        while self._labels is not None and not self._labels.empty():
            labels.append(self._labels.get())
        if labels:
            with contextlib.suppress(PenstockError, RequestRefused):  # simulated, like the transactions they label
                await served.label(b"[" + b",".join(labels) + b"]")

    @contextlib.asynccontextmanager
    async def running(self, served: ServedDetector) -> AsyncIterator[None]:
        """A context in which traffic runs."""
        task = asyncio.create_task(self.run(served))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
