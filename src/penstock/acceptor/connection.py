"""A client's connection in an acceptor: plain requests go to the writer as frames, everything else passes through."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import httptools

from penstock.acceptor.heads import RequestHead

_LINES = b"POST /predict HTTP/1.1\r\n", b"POST /v1/predict HTTP/1.1\r\n"
_HEAD_END = b"\r\n\r\n"
_SPECIAL = {b"expect", b"transfer-encoding", b"upgrade", b"content-encoding", b"trailer"}
"""Headers of requests that are passed through."""
_MOST_HEADS, _LONGEST_HEAD = 1024, 4096
_MOST_HELD = 64 << 10
"""Bytes of later requests that a connection may have sent before its answer; more are left in the socket."""

LINGER_S = 30.0
"""Seconds that a client may read the last answer of a connection that was passed through."""

PREFACE = b"penstock-acceptor"
"""The first word of a connection that is passed through, before the client's address, its port and its scheme."""


class ConnectionLimits(NamedTuple):
    """What connections may take: settings. keep_alive_s: how long one may be silent after an answer. connections: above this
    number, a new one is passed through at once.
    """

    head_timeout_s: float
    body_timeout_s: float
    keep_alive_s: float
    max_body_bytes: int
    connections: int


@dataclass
class Process:
    """What the connections of one acceptor share.

    Args:
        limits: of each connection.
        ask: sends a request to the writer: the connection that gets its answer, the request, the length of its head.
        writer: the path of the Unix socket on which the writer takes connections that are passed through.
    """

    limits: ConnectionLimits
    ask: "Callable[[ClientConnection, bytes, int], None]"
    writer: str
    connections: "set[ClientConnection]" = field(default_factory=set)
    heads: dict[bytes, int] = field(default_factory=dict)
    """Heads that were parsed, with the length of their body; -1 if they are passed through."""

    def body_length(self, head: bytes) -> int:
        """The length of the body of a plain request with this head; -1 for any other request."""
        known = self.heads.get(head)
        if known is None:
            known = _body_length(head) if head.startswith(_LINES) and len(head) <= _LONGEST_HEAD else -1
            known = known if known <= self.limits.max_body_bytes else -1
            if len(self.heads) >= _MOST_HEADS:
                self.heads.clear()
            if len(head) <= _LONGEST_HEAD:
                self.heads[head] = known
        return known


def _body_length(data: bytes) -> int:
    """What the head of a request says, if it is complete, correct and plain; else -1."""
    try:
        head = RequestHead(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return -1
    plain = head.keeps_alive and not _SPECIAL & {name for name, _ in head.headers}
    lengths = [value for name, value in head.headers if name == b"content-length"]
    return int(lengths[0]) if plain and len(lengths) == 1 and lengths[0].isdigit() else -1


class ClientConnection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._rest = self._request = b""  # bytes that no answer has been asked for; the request that waits for its answer
        self._waiting = self._ending = False
        self._pipe: Pipe | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self.transport = cast("asyncio.Transport", None)

    # ---------------------------------------------------------------- the client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self.transport = cast("asyncio.Transport", transport)
        self._process.connections.add(self)
        if len(self._process.connections) > self._process.limits.connections:
            self._pass_through()
        else:
            self._wait_at_most(self._process.limits.head_timeout_s)

    def connection_lost(self, _exc: Exception | None) -> None:
        """The client has left."""
        self._process.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._pipe is not None:
            self._pipe.close()

    def eof_received(self) -> bool:
        """The client sends no more; it may still read, but over TLS, which has no half of a connection."""
        if self.transport.get_extra_info("ssl_object") is not None:
            return False
        return self._waiting if self._pipe is None else self._pipe.end()

    def pause_writing(self) -> None:
        """The client does not read its answers: neither are they read from the writer."""
        if self._pipe is not None:
            self._pipe.pause_reading()

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._pipe is not None:
            self._pipe.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Bytes of one or several requests."""
        if self._pipe is not None:
            self._pipe.send(data)
            return
        self._rest = self._rest + data if self._rest else data
        if not self._waiting:
            self._go_on()
        elif len(self._rest) > _MOST_HELD:
            self.transport.pause_reading()

    # ---------------------------------------------------------------- requests

    def _go_on(self) -> None:
        """Ask for the first request of those that came, if it is complete and plain."""
        data = self._rest
        head = data.find(_HEAD_END) + len(_HEAD_END)
        length = self._process.body_length(data[:head])
        if length < 0:
            self._pass_through()
        elif head + length > len(data):
            self._wait_at_most(self._process.limits.body_timeout_s)
        else:
            self._request, self._rest = data[: head + length], data[head + length :]
            self._waiting = True
            self._process.ask(self, self._request, head)

    def answer(self, response: bytes) -> None:
        """Answer the request that waits; nothing: the writer wants to see the connection itself."""
        self._waiting = False
        if self.transport.is_closing():
            return
        self.transport.resume_reading()
        if not response:
            self._rest = self._request + self._rest
            self._pass_through()
            return
        self.transport.write(response)
        self._request = b""
        if self._ending:
            self.transport.close()
        elif self._rest:
            self._go_on()
        else:
            self._wait_at_most(self._process.limits.keep_alive_s)

    def end(self) -> None:
        """End when no request waits for its answer any more; the writer ends what is passed through."""
        self._ending = True
        if not self._waiting and self._pipe is None:
            self.transport.close()

    @property
    def is_waiting(self) -> bool:
        """Whether the writer owes it an answer."""
        return self._waiting

    # ---------------------------------------------------------------- time

    def _wait_at_most(self, seconds: float) -> None:
        """The next request must be complete in time: one timer, which looks again where that has moved."""
        self._due_s = self._loop.time() + seconds
        if self._timer is None:
            self._timer = self._loop.call_at(self._due_s, self._is_due)
        elif self._timer.when() > self._due_s:
            self._timer.cancel()
            self._timer = self._loop.call_at(self._due_s, self._is_due)

    def _is_due(self) -> None:
        self._timer = None
        if self._waiting or self._pipe is not None:
            return
        if self._loop.time() < self._due_s:
            self._timer = self._loop.call_at(self._due_s, self._is_due)
        elif self._rest:
            self._pass_through()  # the writer answers what is too slow
        else:
            self.transport.close()

    # ---------------------------------------------------------------- passing through

    def _pass_through(self) -> None:
        """From here on the writer sees the connection as it is."""
        host, port = (self.transport.get_extra_info("peername") or ("", 0))[:2]
        scheme = "http" if self.transport.get_extra_info("ssl_object") is None else "https"
        self._pipe = Pipe(self, b"%b %b %d %b\n" % (PREFACE, host.encode(), port, scheme.encode()) + self._rest)
        self._rest = b""
        self._pipe.connect(self._loop, self._process.writer)


class Pipe(asyncio.Protocol):
    """The writer's end of a connection that is passed through. first: what it gets first."""

    def __init__(self, client: ClientConnection, first: bytes) -> None:
        self._client, self._first = client, first
        self._transport: asyncio.Transport | None = None
        self._ended = self._closed = False  # one side has sent all; the client has left
        self._task: asyncio.Task[Any] | None = None

    def connect(self, loop: asyncio.AbstractEventLoop, path: str) -> None:
        """Connect to the writer; what the client sends meanwhile waits."""
        self._client.transport.pause_reading()
        self._task = loop.create_task(self._connected(loop, path))

    async def _connected(self, loop: asyncio.AbstractEventLoop, path: str) -> None:
        try:
            await loop.create_unix_connection(lambda: self, path)
        except OSError:
            self._client.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The writer has accepted."""
        self._transport = cast("asyncio.Transport", transport)
        if self._closed:
            self._transport.abort()
            return
        self._transport.write(self._first)
        self._first = b""
        self._client.transport.resume_reading()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The writer has closed."""
        self._client.transport.close()

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer."""
        self._client.transport.write(data)

    def eof_received(self) -> bool:
        """The writer sends no more, and may read on: the client gets the last answer, although it may still be sending."""
        client = self._client.transport
        if self._ended or client.is_closing() or not client.can_write_eof():
            return False
        client.write_eof()
        asyncio.get_running_loop().call_later(LINGER_S, client.close)
        self._ended = True
        return True

    def pause_writing(self) -> None:
        """The writer does not read."""
        self._client.transport.pause_reading()

    def resume_writing(self) -> None:
        """The writer reads again."""
        self._client.transport.resume_reading()

    def send(self, data: bytes) -> None:
        """Bytes of the client."""
        if self._transport is None:
            self._first += data
        else:
            self._transport.write(data)

    def end(self) -> bool:
        """The client sends no more; whether its connection stays open, for an answer."""
        if self._transport is None or self._ended or self._transport.is_closing():
            return False
        self._transport.write_eof()
        self._ended = True
        return True

    def pause_reading(self) -> None:
        """Read no more from the writer."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read from the writer again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def close(self) -> None:
        """The client has left."""
        self._closed = True
        if self._transport is not None:
            self._transport.close()
