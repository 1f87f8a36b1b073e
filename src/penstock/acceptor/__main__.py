"""`python -m penstock.acceptor`: what `penstock serve --acceptors N` starts N times.

It is stopped by the writer, over the link, and ends with the writer; signals of a terminal, which reach it too, are left to the
writer.
"""

import asyncio
import itertools
import json
import resource
import signal
import socket
import ssl
import sys
from typing import Any, cast

import uvloop

from penstock.acceptor.connection import ClientConnection, ConnectionLimits, Process
from penstock.acceptor.frames import STOP, Frames, FrameWriter, pack, pack_request
from penstock.acceptor.tls import TlsFiles
from penstock.tls import Buffered, read_buffer

_BACKLOG = 2048
_LOOK_S = 0.02
_END_TLS_S = 2.0
_RESERVED = 64


class Link(asyncio.Protocol):
    """The acceptor's end of the link: requests that come together are sent together."""

    def __init__(self) -> None:
        self._frames, self._numbers = Frames(), itertools.count(1)
        self._asking: dict[int, ClientConnection] = {}
        self._out = cast("FrameWriter", None)
        self.stopping, self.lost = asyncio.Event(), asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The link is open."""
        self._out = FrameWriter(cast("asyncio.Transport", transport))

    def connection_lost(self, _exc: Exception | None) -> None:
        """The writer has ended."""
        self.lost.set()
        self.stopping.set()

    def ask(self, connection: ClientConnection, request: bytes, head: int) -> None:
        """See `Process.ask`."""
        number = next(self._numbers) % (1 << 32) or next(self._numbers) % (1 << 32)
        self._asking[number] = connection
        self._out.send(pack_request(number, head, request))

    def data_received(self, data: bytes) -> None:
        """Answers."""
        for number, payload in self._frames.feed(data):
            if number == STOP:
                self.stopping.set()
            else:
                self._asking.pop(number).answer(payload)

    def say_last(self) -> None:
        """Tell the writer that no request follows."""
        self._out.send(pack(STOP))

    def close(self) -> None:
        """Close the link when all is sent."""
        self._out.close()


async def accept(
    listening: socket.socket, link: socket.socket, writer: str, limits: ConnectionLimits, tls: ssl.SSLContext | None
) -> None:
    """Accept connections until the writer says stop, or ends; answer what was asked."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, lambda: None)
    _, to_writer = await loop.create_connection(Link, sock=link)
    process = Process(limits, to_writer.ask, writer)
    given: dict[str, Any] = {"sock": listening, "backlog": _BACKLOG}
    if tls is None:
        server = await loop.create_server(lambda: ClientConnection(process), **given)
    else:
        buffer = read_buffer()
        given |= {"ssl": tls, "ssl_handshake_timeout": limits.head_timeout_s, "ssl_shutdown_timeout": _END_TLS_S}
        server = await loop.create_server(lambda: Buffered(ClientConnection(process), buffer), **given)
    await to_writer.stopping.wait()
    server.close()
    for connection in list(process.connections):
        connection.end()
    while any(each.is_waiting for each in process.connections) and not to_writer.lost.is_set():
        await asyncio.sleep(_LOOK_S)
    to_writer.say_last()
    while process.connections and not to_writer.lost.is_set():
        await asyncio.sleep(_LOOK_S)
    to_writer.close()


def main(arguments: list[str]) -> None:
    """Run with one argument, a JSON object."""
    given: dict[str, Any] = json.loads(arguments[0])
    listening, link = (socket.socket(fileno=given.pop(name)) for name in ("listening", "link"))
    limits = ConnectionLimits(*given["limits"])
    limits = limits._replace(connections=min(limits.connections, _room()))
    uvloop.run(accept(listening, link, given["writer"], limits, TlsFiles(*given["tls"]).context()))


def _room() -> int:
    """For how many connections the system gives this process file handles: two each, if all are passed through."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft not in {resource.RLIM_INFINITY, hard}:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else max(1, (hard - _RESERVED) // 3)


if __name__ == "__main__":
    main(sys.argv[1:])
