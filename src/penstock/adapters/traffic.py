"""Replay of events to a running service over HTTP, in order and, on request, at their original pace."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import NamedTuple

import msgspec

from penstock.adapters.http import PooledConnection, ServiceAddress, ask, connect, request
from penstock.decoding import prepared
from penstock.errors import PenstockError

CHUNK = 500
"""Most events in one request."""

_TICK_S = 0.05  # how long events are gathered at a high pace
_BUSY_WAIT_S, _BUSY_TRIES = 1.0, 60


class Item(NamedTuple):
    """One thing to send: the route that takes it (`/predict`, `/events`, `/labels`) and its JSON."""

    path: str
    body: bytes


class NotAccepted(PenstockError):
    """The service refused a whole request, or stayed busy."""


@dataclass
class SentCounts:
    """Counts of sent items. accepted: events. labels: labels that were accepted."""

    decisions: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    labels: int = 0
    refused: int = 0
    first_refusal: str | None = None

    @property
    def total(self) -> int:
        """Everything that got an answer."""
        return self.accepted + self.labels + self.refused


class _Response(msgspec.Struct):
    """The fields read from a response: a decision, a problem, or an acknowledgement."""

    decision: str | None = None
    status: int | None = None
    detail: str | None = None


_answer = msgspec.json.Decoder(prepared(_Response))


def send(
    address: ServiceAddress,
    items: Iterable[Item],
    *,
    tps: float | None = None,
    on_sent: Callable[[SentCounts], None] = lambda _: None,
) -> SentCounts:
    """Send everything over one connection, in order.

    Args:
        address: where the service is.
        items: what to send; may be endless.
        tps: how many a second; as fast as the service takes them unless given.
        on_sent: called with the progress after every request.

    Raises:
        Unreachable: no server answers there.
        NotAccepted: the service refused a request as a whole, or had no room for a minute.
    """
    return asyncio.run(_send(address, iter(items), tps, on_sent))


async def _send(
    address: ServiceAddress, items: Iterator[Item], tps: float | None, on_sent: Callable[[SentCounts], None]
) -> SentCounts:
    connection = await connect(address)
    sent = SentCounts()
    began, taken = time.perf_counter(), 0
    try:
        while True:
            due = CHUNK if tps is None else min(CHUNK, int((time.perf_counter() - began) * tps) + 1 - taken)
            chunk = list(islice(items, max(due, 0)))
            for path, group in groupby(chunk, key=lambda item: item.path):
                await _post(connection, address, path, [item.body for item in group], sent)
                on_sent(sent)
            taken += len(chunk)
            if due > 0 and not chunk:
                return sent
            if tps is not None:
                await asyncio.sleep(max(_TICK_S, 1 / tps) if tps < 1 / _TICK_S else _TICK_S)
    finally:
        connection.close()


async def _post(
    connection: PooledConnection, address: ServiceAddress, path: str, bodies: list[bytes], sent: SentCounts
) -> None:
    """One request with all of these; several travel as NDJSON, labels as an array."""
    if len(bodies) == 1:
        data = request(address, "POST", path, bodies[0])
    elif path == "/labels":
        data = request(address, "POST", path, b"[" + b",".join(bodies) + b"]")
    else:
        data = request(address, "POST", path, b"\n".join(bodies), "application/x-ndjson")
    for _ in range(_BUSY_TRIES):
        status, body = await ask(connection, data)
        if status not in {429, 503}:
            break
        await asyncio.sleep(_BUSY_WAIT_S)
    _count(path, status, body, len(bodies), sent)


def _count(path: str, status: int, body: bytes, number: int, sent: SentCounts) -> None:
    if path == "/labels" and status < 300:
        sent.labels += number
    elif path != "/predict" and status < 300:
        sent.accepted += number
    elif status < 300 or (number == 1 and status == 422):
        _count_answers(body, sent)
    else:
        raise NotAccepted(f"the service answered {status} to {number} posted to {path}: {_detail(body)}")


def _count_answers(body: bytes, sent: SentCounts) -> None:
    for line in body.splitlines():
        answer = _answer.decode(line)
        if answer.decision is not None:
            sent.accepted += 1
            sent.decisions[answer.decision] += 1
        else:
            sent.refused += 1
            sent.first_refusal = sent.first_refusal or answer.detail


def _detail(body: bytes) -> str:
    try:
        return _answer.decode(body).detail or ""
    except msgspec.MsgspecError:
        return body[:200].decode(errors="replace")
