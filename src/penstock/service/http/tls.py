"""TLS connections: accepted, and handed to the protocol of HTTP after their handshake."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sized

from penstock.service.http.protocol import MOST_LINGERING, OVER_S, Bounds
from penstock.tls import Buffered, read_buffer

_AGAIN_S = 0.5
"""Seconds between attempts to accept while the system has no file handle left."""


class TlsListener:
    """Accepts the connections of a listening socket; stands in the place of an `asyncio.Server`.

    The loop's own TLS server would bound neither the number of handshakes nor, by a setting, their time.

    Args:
        listening: the socket.
        context: the service's.
        bounds: of connections; counts those that are refused.
        connections: the open ones, whose handshake is complete.
        protocol: makes the protocol of a connection.
    """

    def __init__(
        self,
        listening: socket.socket,
        context: ssl.SSLContext,
        bounds: Bounds,
        connections: Sized,
        protocol: Callable[[], asyncio.Protocol],
    ) -> None:
        self._listening = listening
        self._context = context
        self._bounds = bounds
        self._connections = connections
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._buffer = read_buffer()
        self._handshakes: set[asyncio.Task[None]] = set()
        listening.setblocking(False)
        self._accepting = self._loop.create_task(self._accept())

    async def _accept(self) -> None:
        """Begin a handshake with each client; those far beyond the limit get none, and so no 503 either."""
        most = self._bounds.connections + MOST_LINGERING
        while True:
            try:
                accepted, _ = await self._loop.sock_accept(self._listening)
            except OSError:
                await asyncio.sleep(_AGAIN_S)
                continue
            if len(self._connections) + len(self._handshakes) >= most:
                self._bounds.rejected["connections"] += 1
                accepted.close()
                continue
            task = self._loop.create_task(self._shake_hands(accepted))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: Buffered(self._protocol(), self._buffer),
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=self._bounds.head_timeout_s,
                ssl_shutdown_timeout=OVER_S,
            )
        except OSError:  # no TLS, no common version, no acceptable certificate, too slow, or gone
            self._bounds.rejected["tls_handshake"] += 1

    def close(self) -> None:
        """Accept no more, and end handshakes in progress."""
        for task in (self._accepting, *self._handshakes):
            task.cancel()

    async def wait_closed(self) -> None:
        """Return when that is done."""
        await asyncio.gather(self._accepting, *self._handshakes, return_exceptions=True)
