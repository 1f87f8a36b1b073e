"""Replay of events into a broker's topics, in order and, on request, at their original pace."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice

import msgspec

from penstock.adapters.traffic import CHUNK, Item, SentCounts
from penstock.errors import BrokerError
from penstock.stream.port import Outlet

MOST_IN_FLIGHT = 10_000
"""Messages that the broker has not confirmed yet; further ones wait, so that memory is bounded."""

_ROLES = {"/predict": "transactions", "/events": "transactions", "/labels": "labels"}
_TICK_S = 0.01
_decode = msgspec.json.Decoder().decode


def produce(
    outlet: Outlet,
    items: Iterable[Item],
    *,
    key: str | None = None,
    tps: float | None = None,
    on_sent: Callable[[SentCounts], None] = lambda _: None,
    trace: Callable[[], bytes] = bytes,
) -> SentCounts:
    """Send all items to their topics, and return when the broker has confirmed them.

    Args:
        outlet: the broker's producer.
        items: what to send; may be endless.
        key: the field whose value is the key of an event; none unless given.
        tps: how many a second; as fast as the broker takes them unless given.
        on_sent: called with the progress from time to time.
        trace: returns the trace header of an event; empty for none.

    Raises:
        BrokerError: the broker did not take a message.
    """
    delivery = _Delivery(outlet)
    for chunk in paced(items, tps):
        for item in chunk:
            delivery.put(_ROLES[item.path], key_of(item, key), item.body, trace())
        on_sent(delivery.sent)
    delivery.complete(lambda: on_sent(delivery.sent))
    return delivery.sent


def paced(items: Iterable[Item], tps: float | None) -> Iterator[list[Item]]:
    """The items in order, each when it is due, several at once where several are."""
    source, taken, began = iter(items), 0, time.perf_counter()
    while True:
        passed = time.perf_counter() - began
        due = CHUNK if tps is None else min(CHUNK, int(passed * tps) + 1 - taken)
        if tps is not None and due < 1:
            time.sleep(max(_TICK_S, taken / tps - passed))
            continue
        chunk = list(islice(source, due))
        if not chunk:
            return
        taken += len(chunk)
        yield chunk


def key_of(item: Item, field: str | None) -> str:
    """The message key of an event, empty for none; labels have a topic of one partition.

    >>> key_of(Item("/predict", b'{"user": 7}'), "user")
    '7'
    """
    if field is None or item.path == "/labels":
        return ""
    value = _decode(item.body).get(field)
    return "" if value is None else str(value)


class _Delivery:
    """Counts of sent and confirmed messages; confirmations arrive in another thread."""

    def __init__(self, outlet: Outlet) -> None:
        self.sent = SentCounts()
        self._outlet = outlet
        self._lock = threading.Lock()
        self._put = 0
        self._failure: BaseException | None = None

    def put(self, role: str, key: str, body: bytes, trace: bytes) -> None:
        """Send one, as soon as there is room.

        Raises:
            BrokerError: an earlier one has failed.
        """
        while self._put - self.sent.total >= MOST_IN_FLIGHT:
            self._outlet.flush(0.05)
            self._check()
        self._outlet.put(role, key, body, partial(self._on_acknowledged, role), trace=trace)
        self._put += 1

    def complete(self, on_wait: Callable[[], None]) -> None:
        """Return when all of them are confirmed."""
        while self._outlet.flush(0.2):
            self._check()
            on_wait()
        self._check()
        on_wait()

    def _on_acknowledged(self, role: str, error: BaseException | None) -> None:
        with self._lock:
            if error is None and role == "labels":
                self.sent.labels += 1
            elif error is None:
                self.sent.accepted += 1
            else:
                self.sent.refused += 1
                self._failure = self._failure or error
                self.sent.first_refusal = self.sent.first_refusal or str(error)

    def _check(self) -> None:
        if self._failure is not None:
            sent = f"{self.sent.accepted:,} events and {self.sent.labels:,} labels were sent"
            raise BrokerError(f"{sent}, then: {self._failure}") from self._failure
