"""A small HTTP/1.1 client over persistent connections, for load tests and for sending traffic to a service.

It reads responses with a Content-Length and supports neither redirects nor TLS. It exists because a load client must cost
much less than the server that it measures.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

from penstock.errors import ConfigurationError, PenstockError, shown_url

OnAnswer = Callable[[int, bytes], None]
"""Called with status and body; status 0 where the connection broke before an answer came."""

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Unreachable(PenstockError):
    """No server answers at an address, or it does not speak HTTP."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service is, and the key that opens it.

    >>> Address.of("http://127.0.0.1:8000/", key="psk_0123abcd_...")
    Address(host='127.0.0.1', port=8000)
    """

    host: str
    port: int
    key: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The address as a URL.

        >>> Address("::1", 80).url
        'http://[::1]:80'
        """
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    @classmethod
    def of(cls, url: str, key: str | None = None) -> "Address":
        """The address in an http URL.

        Raises:
            ConfigurationError: it is not an http URL, or the key cannot travel in a header.
        """
        if key is not None and not (key.isascii() and key.isprintable()):
            raise ConfigurationError("the key is not one of a service: it holds what a header cannot; give it as it was shown")
        try:
            parts = urlsplit(url)
            port = parts.port or 80
        except ValueError as error:
            raise ConfigurationError(f"{shown_url(url)!r} is not a URL: {error}") from error
        if parts.scheme != "http" or not parts.hostname:
            raise ConfigurationError(f"{shown_url(url)!r} is not the URL of a service; it reads http://HOST:PORT")
        return cls(parts.hostname, port, key)


def request(address: Address, method: str, path: str, body: bytes = b"", content_type: str = "application/json") -> bytes:
    """The bytes of one request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {address.host}:{address.port}\r\n"
    if address.key is not None:
        head += f"Authorization: Bearer {address.key}\r\n"
    if body:
        head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class Connection(asyncio.Protocol):
    """One kept connection with at most one request on its way."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._needed = -1  # length of head and body together, once the head has been read
        self._status = 0
        self._on_answer: OnAnswer | None = None

    @property
    def open(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None

    def send(self, data: bytes, on_answer: OnAnswer) -> None:
        """Send one request; `on_answer` is called exactly once, from the event loop."""
        self._on_answer = on_answer
        if self._transport is None:
            self._finish(0, b"")
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Give the connection up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        """Part of asyncio.Protocol."""
        self._transport = None
        self._finish(0, b"")

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        received = self._received
        received += data
        if self._needed < 0 and not self._read_head():
            return
        if len(received) >= self._needed:
            body = bytes(received[received.index(_HEAD_END) + 4 : self._needed])
            received.clear()
            self._needed = -1
            self._finish(self._status, body)

    def _read_head(self) -> bool:
        end = self._received.find(_HEAD_END)
        if end < 0:
            return False
        head = bytes(self._received[:end]).lower()
        at = head.find(_LENGTH)
        if not head.startswith(b"http/1.") or at < 0:
            self.close()
            return False
        stop = head.find(b"\r", at)
        self._status = int(head[9:12])
        self._needed = end + 4 + int(head[at + len(_LENGTH) : stop if stop >= 0 else len(head)])
        return True

    def _finish(self, status: int, body: bytes) -> None:
        on_answer, self._on_answer = self._on_answer, None
        if on_answer is not None:
            on_answer(status, body)


async def connect(address: Address) -> Connection:
    """Open one connection.

    Raises:
        Unreachable: naming the address and what to do.
    """
    try:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, address.host, address.port)
    except OSError as error:
        raise Unreachable(
            f"nobody answers at http://{address.host}:{address.port} ({error.strerror or error}); start a service there:"
            f" penstock serve banking --port {address.port}"
        ) from error
    return connection


async def ask(connection: Connection, data: bytes) -> tuple[int, bytes]:
    """Send one request and wait for status and body.

    Raises:
        Unreachable: the connection broke before the answer.
    """
    answered: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
    connection.send(data, lambda status, body: None if answered.done() else answered.set_result((status, body)))
    status, body = await answered
    if status == 0:
        raise Unreachable("the connection broke before an answer came; is it a Penstock service, and is it still running?")
    return status, body
