"""Coalesced responses: head and body leave in a single system call.

uvicorn writes the head of a response and its body one after the other, and uvloop sends each at once. For a small
answer, the second call, and a client that wakes up for the first, cost about as much as everything else.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from penstock.service.http.bounded_protocol import BoundedProtocol

_HEAD = b"HTTP/1.1 "


class CoalescingProtocol(BoundedProtocol):
    """uvicorn's HTTP protocol over a transport that joins the head of a response with its body."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """A client has connected."""
        super().connection_made(cast("asyncio.Transport", CoalescingTransport(transport, self.linger)))


class CoalescingTransport:
    """A transport that holds the head of a response back until its body comes, at most until the loop's next turn.

    `close()` closes only its half of the connection while `linger` returns true.
    """

    __slots__ = (
        "_closed",
        "_held",
        "_linger",
        "_loop",
        "_transport",
        "abort",
        "get_extra_info",
        "pause_reading",
        "resume_reading",
    )

    def __init__(self, transport: asyncio.Transport, linger: Callable[[], bool] = lambda: False) -> None:
        self._transport = transport
        self._linger = linger
        self._closed = False
        self._held = b""
        self._loop = asyncio.get_running_loop()
        self.abort = transport.abort
        self.get_extra_info = transport.get_extra_info
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def write(self, data: bytes) -> None:
        """Send bytes; the head of a response waits for what comes next."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held + data)
        elif data.startswith(_HEAD):
            self._held = data
            self._loop.call_soon(self._let_go)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Send held bytes, then close."""
        self._let_go()
        self._closed = True
        if not self._transport.is_closing() and self._linger():
            self._transport.write_eof()
        else:
            self._transport.close()

    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self._closed or self._transport.is_closing()

    def set_protocol(self, protocol: Any) -> None:
        """Hand the connection to another protocol."""
        self._let_go()
        self._transport.set_protocol(protocol)

    def _let_go(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)
