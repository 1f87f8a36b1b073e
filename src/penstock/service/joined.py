"""Responses in one piece: head and body leave in a single system call.

uvicorn writes the head of a response and its body one after the other, and uvloop passes each on at once. Two calls, and
with a client that wakes up for the first, cost about as much as everything else that is done for a small answer.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD = b"HTTP/1.1 "


class JoiningProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol over a transport that joins the head of a response with its body."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """A client has connected."""
        super().connection_made(cast("asyncio.Transport", JoinedTransport(transport)))


class JoinedTransport:
    """A transport that holds the head of a response back until its body comes, at most until the loop's next turn."""

    __slots__ = ("_held", "_loop", "_transport", "abort", "get_extra_info", "is_closing", "pause_reading", "resume_reading")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held = b""
        self._loop = asyncio.get_running_loop()
        self.abort = transport.abort
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
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
        """Send what is held back, then close."""
        self._let_go()
        self._transport.close()

    def set_protocol(self, protocol: Any) -> None:
        """Let another protocol take over."""
        self._let_go()
        self._transport.set_protocol(protocol)

    def _let_go(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)
