"""Load test of a running service: throughput and latency.

Without a rate the loop is closed: every connection sends its next request when the last was answered, which measures the
highest throughput. With a rate it is open: requests are due at fixed instants whatever the service does, and latency counts
from the instant a request was due, so that a stalled service cannot hide its stall by slowing its callers down (Tene, "How
NOT to measure latency": coordinated omission).
"""

import asyncio
import gc
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from penstock.adapters.http import PooledConnection, ServiceAddress, Unreachable, ask, connect, request

Request = Callable[[int], bytes]
"""The bytes of the n-th request."""

SILENT_S = 60.0
"""A service that answers nothing for so long is taken to have stalled."""

_SHORTEST_SLEEP_S = 100e-6  # what the machine's timer can keep


@dataclass
class Measured:
    """Results of a load test. Latencies are those of requests answered with a decision, in milliseconds."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """Requests sent."""
        return self.statuses.total()

    @property
    def errors(self) -> int:
        """Requests without a good answer: refused, failed, or cut off (status 0)."""
        return sum(count for status, count in self.statuses.items() if not 200 <= status < 300)

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values; percentiles are null where nothing was answered."""
        found = np.percentile(self.latencies_ms, [50, 95, 99]).round(3).tolist() if self.latencies_ms else [None] * 3
        return {
            "requests": self.requests,
            "seconds": round(self.seconds, 3),
            "requests_per_s": round(self.requests / self.seconds, 1) if self.seconds else None,
            "latency_ms": dict(zip(("p50", "p95", "p99"), found, strict=True)),
            "errors": self.errors,
            "statuses": {str(status) if status else "broken": count for status, count in sorted(self.statuses.items())},
        }


def measure(address: ServiceAddress, make: Request, *, requests: int, concurrency: int, rate: float | None = None) -> Measured:
    """Send a number of requests over several connections and measure them.

    Raises:
        Unreachable: no server answers there, or the service went away for good.
    """
    runner = _runner()
    with runner:
        return runner.run(_measure(address, make, requests, concurrency, rate))


def fetch(address: ServiceAddress, path: str, *, within_s: float = SILENT_S) -> tuple[int, bytes]:
    """One GET: status and body.

    Raises:
        Unreachable: no server answers there, or not within so many seconds.
    """

    async def get() -> tuple[int, bytes]:
        connection = await connect(address)
        try:
            return await ask(connection, request(address, "GET", path))
        finally:
            connection.close()

    with _runner() as runner:
        try:
            return runner.run(asyncio.wait_for(get(), within_s))
        except TimeoutError:
            raise Unreachable(f"{address.url}{path} has not answered within {within_s:g} s") from None


def _runner() -> "asyncio.Runner":
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


async def _measure(address: ServiceAddress, make: Request, requests: int, concurrency: int, rate: float | None) -> Measured:
    connections = [await connect(address) for _ in range(min(concurrency, requests))]
    run = _Run(address, make, requests, connections)
    gc.collect()
    gc.disable()
    began = time.perf_counter()
    try:
        if rate is None:
            run.start_closed()
        else:
            threading.Thread(target=run.keep_rate, args=(rate, asyncio.get_running_loop()), daemon=True).start()
        await run.until_finished()
    finally:
        gc.enable()
        for connection in run.connections:
            connection.close()
    run.measured.seconds = time.perf_counter() - began
    return run.measured


class _Run:
    """One load test under way. Everything but `keep_rate` runs in the event loop."""

    def __init__(self, address: ServiceAddress, make: Request, requests: int, connections: list[PooledConnection]) -> None:
        self.connections = connections
        self.measured = Measured()
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._address = address
        self._make = make
        self._total = requests
        self._sent = 0
        self._answered = 0
        self._closed_loop = False
        self._idle = list(connections)
        self._due_ns: deque[int] = deque()
        self._reconnecting: set[asyncio.Task[None]] = set()

    def start_closed(self) -> None:
        self._closed_loop = True
        self._use_idle()

    def keep_rate(self, rate: float, loop: asyncio.AbstractEventLoop) -> None:
        """Hand requests to the event loop when they are due. Runs in a thread, whose sleep is finer than a loop's timer."""
        interval_ns = 1e9 / rate
        start_ns = time.perf_counter_ns()
        handed = 0
        while handed < self._total and not self.finished.done():
            due = min(self._total, int((time.perf_counter_ns() - start_ns) / interval_ns) + 1)
            if due > handed:
                instants = [start_ns + int(k * interval_ns) for k in range(handed, due)]
                loop.call_soon_threadsafe(self._add_due, instants)
                handed = due
            wait_s = (start_ns + handed * interval_ns - time.perf_counter_ns()) / 1e9
            time.sleep(max(wait_s, _SHORTEST_SLEEP_S))

    async def until_finished(self) -> None:
        """Wait for the last answer.

        Raises:
            Unreachable: the service went away, or has answered nothing for `SILENT_S` seconds.
        """
        while not self.finished.done():
            answered = self._answered
            await asyncio.wait([self.finished], timeout=SILENT_S)
            if answered == self._answered < self._sent:
                raise Unreachable(
                    f"{self._address.url} has answered nothing for {SILENT_S:g} s; {self._sent - answered:,} requests wait"
                )
        self.finished.result()

    def _add_due(self, instants_ns: list[int]) -> None:
        self._due_ns.extend(instants_ns)
        self._use_idle()

    def _use_idle(self) -> None:
        while self._idle and self._sent < self._total and (self._closed_loop or self._due_ns):
            self._send(self._idle.pop())

    def _send(self, connection: PooledConnection) -> None:
        since_ns = time.perf_counter_ns() if self._closed_loop else self._due_ns.popleft()
        number = self._sent
        self._sent += 1
        connection.send(self._make(number), partial(self._on_answer, connection, since_ns))

    def _on_answer(self, connection: PooledConnection, since_ns: int, status: int, _body: bytes) -> None:
        self.measured.statuses[status] += 1
        if 200 <= status < 300:
            self.measured.latencies_ms.append((time.perf_counter_ns() - since_ns) / 1e6)
        self._answered += 1
        if self._answered == self._total:
            self.finished.set_result(None)
        elif connection.open:
            self._idle.append(connection)
            self._use_idle()
        else:
            task = asyncio.get_running_loop().create_task(self._replace(connection))
            self._reconnecting.add(task)
            task.add_done_callback(self._reconnecting.discard)

    async def _replace(self, broken: PooledConnection) -> None:
        """Open a connection in the place of one that broke; where that fails the service is gone."""
        try:
            new = await connect(self._address)
        except Unreachable as error:
            if not self.finished.done():
                self.finished.set_exception(error)
            return
        self.connections[self.connections.index(broken)] = new
        self._idle.append(new)
        self._use_idle()
