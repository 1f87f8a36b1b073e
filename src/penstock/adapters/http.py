"""A small HTTP/1.1 client over persistent connections, for load tests and for sending traffic to a service.

It reads responses with a Content-Length and does not follow redirects. It exists because a load client must cost
much less than the server that it measures.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

from penstock.config import Settings
from penstock.errors import ConfigurationError, PenstockError, shown_url
from penstock.tls import client_context

OnAnswer = Callable[[int, bytes], None]
"""Called with status and body; status 0 where the connection broke before an answer came."""

_DEFAULT = Settings()
_READ_BYTES = 16 * 1024
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Unreachable(PenstockError):
    """No server answers at an address, or it does not speak HTTP."""


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """Where a service is, the key that opens it, and the TLS context to call it with, if it speaks TLS.

    >>> ServiceAddress.of("http://127.0.0.1:8000/", Settings(key="psk_0123abcd_..."))
    ServiceAddress(host='127.0.0.1', port=8000)
    """

    host: str
    port: int
    key: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False, compare=False)

    @property
    def url(self) -> str:
        """The address as a URL.

        >>> ServiceAddress("::1", 80).url
        'http://[::1]:80'
        """
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://[{self.host}]:{self.port}" if ":" in self.host else f"{scheme}://{self.host}:{self.port}"

    @classmethod
    def of(cls, url: str, settings: Settings = _DEFAULT) -> "ServiceAddress":
        """The address in an http or https URL. settings: the key, and the certificate to show.

        Raises:
            ConfigurationError: it is not such a URL, the key cannot travel in a header, or the certificate cannot be used.
        """
        key = settings.key
        if key is not None and not (key.isascii() and key.isprintable()):
            raise ConfigurationError("the key is not one of a service: it holds what a header cannot; give it as it was shown")
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError as error:
            raise ConfigurationError(f"{shown_url(url)!r} is not a URL: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(
                f"{shown_url(url)!r} is not the URL of a service; it reads http://HOST:PORT or https://HOST:PORT"
            )
        return cls(parts.hostname, port, key, client_context(settings) if parts.scheme == "https" else None)


def request(
    address: ServiceAddress, method: str, path: str, body: bytes = b"", content_type: str = "application/json"
) -> bytes:
    """The bytes of one request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {address.host}:{address.port}\r\n"
    if address.key is not None:
        head += f"Authorization: Bearer {address.key}\r\n"
    if body:
        head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class PooledConnection(asyncio.BufferedProtocol):
    """One kept connection with at most one request on its way.

    It reads into its own buffer: without one, a loop takes and frees 256 KB for each read of TLS.
    """

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._needed = -1  # length of head and body together, once the head has been read
        self._status = 0
        self._on_answer: OnAnswer | None = None
        self.encrypted = False

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
        if self._transport is not None and self.encrypted:
            self._transport.abort()  # a TLS connection would wait for the other side to say goodbye too
        elif self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.BufferedProtocol."""
        self._transport = cast("asyncio.Transport", transport)
        self.encrypted = transport.get_extra_info("sslcontext") is not None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        """Part of asyncio.BufferedProtocol."""
        self._transport = None
        self._finish(0, b"")

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 -- asyncio's signature
        """Part of asyncio.BufferedProtocol."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Part of asyncio.BufferedProtocol."""
        received = self._received
        received += self._buffer[:nbytes]
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


async def connect(address: ServiceAddress) -> PooledConnection:
    """Open one connection.

    Raises:
        Unreachable: naming the address and what to do.
    """
    try:
        _, connection = await asyncio.get_running_loop().create_connection(
            PooledConnection, address.host, address.port, ssl=address.tls
        )
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(
            f"the certificate of {address.url} is not accepted: {error.verify_message}; name the file of the authority that"
            " signed it in SSL_CERT_FILE, and call the service by a name that stands in the certificate"
        ) from error
    except ssl.SSLError as error:
        raise Unreachable(f"there is no TLS with {address.url}: {error.reason}; does it speak plain HTTP?") from error
    except OSError as error:
        raise Unreachable(
            f"nobody answers at {address.url} ({error.strerror or error}); start a service there:"
            f" penstock serve banking --port {address.port}"
        ) from error
    return connection


async def ask(connection: PooledConnection, data: bytes) -> tuple[int, bytes]:
    """Send one request and wait for status and body.

    Raises:
        Unreachable: the connection broke before the answer.
    """
    answered: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
    connection.send(data, lambda status, body: None if answered.done() else answered.set_result((status, body)))
    status, body = await answered
    if status == 0:
        why = "it may want a certificate of its clients, --tls-cert and --tls-key; " if connection.encrypted else ""
        raise Unreachable(
            f"the connection broke before an answer came; {why}is it a Penstock service, and is it still running?"
        )
    return status, body
