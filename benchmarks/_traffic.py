"""Payments that go on while something else happens, and every answer to them."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from penstock.adapters.http import ServiceAddress, Unreachable, ask, connect, request

CONNECTIONS = 16


class Fired(msgspec.Struct):
    """A rule that fired."""

    name: str


class _Explanation(msgspec.Struct):
    rules: list[Fired] = []


class _Versions(msgspec.Struct):
    rules: str


class Decided(msgspec.Struct):
    """What a benchmark reads of a decision."""

    decision: str
    versions: _Versions
    explanation: _Explanation


class Answer(NamedTuple):
    """sent_s, answered_s: by `time.perf_counter`. status: 0 where the connection broke."""

    sent_s: float
    answered_s: float
    status: int
    body: bytes

    @property
    def decided(self) -> Decided:
        """The decision in it."""
        return msgspec.json.decode(self.body, type=Decided)


class Traffic:
    """Requests to /predict at a rate, over some connections, until left. `answers` holds every answer in order.

    Args:
        url: of the service.
        make: the body of the n-th request.
        rate: requests a second.
    """

    def __init__(self, url: str, make: Callable[[int], bytes], rate: int) -> None:
        self.answers: list[Answer] = []
        self._address, self._make, self._rate = ServiceAddress.of(url), make, rate
        self._sent = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    @property
    def failed(self) -> int:
        """Requests without a decision."""
        return sum(answer.status != 200 for answer in self.answers)

    async def _run(self) -> None:
        await asyncio.gather(*(self._connection(first) for first in range(CONNECTIONS)))

    async def _connection(self, first: int) -> None:
        connection = await connect(self._address)
        due = time.perf_counter() + first / self._rate
        try:
            while not self._ending.is_set():
                await asyncio.sleep(due - time.perf_counter())
                due = max(due + CONNECTIONS / self._rate, time.perf_counter())  # what could not be sent in time is not made up
                number, self._sent = self._sent, self._sent + 1
                data, sent = request(self._address, "POST", "/predict", self._make(number)), time.perf_counter()
                try:
                    status, body = await ask(connection, data)
                except Unreachable:
                    status, body = 0, b""
                self.answers.append(Answer(sent, time.perf_counter(), status, body))
                if status == 0:
                    connection = await connect(self._address)
        finally:
            connection.close()
