"""The writer's end of acceptors: starts them, answers the requests that they send on, and takes what they pass through."""

import asyncio
import contextlib
import json
import logging
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

from penstock.acceptor.connection import PREFACE, ConnectionLimits
from penstock.acceptor.frames import STOP, Frames, FrameWriter, pack, split_request
from penstock.acceptor.heads import RequestHead
from penstock.acceptor.tls import TlsFiles
from penstock.errors import ConfigurationError
from penstock.service.http.protocol import HOT_PATH, Ask, CoalescingProtocol, Headers, whole_response

AGAIN_AFTER_S = 1.0
"""Seconds after which an acceptor that ended is started anew."""

_END_S = 5.0
_MOST_HEADS = 1024
_BACKLOG = 2048
_log = logging.getLogger("penstock.service")


class Acceptors:
    """Processes that accept the connections of a listening socket.

    Args:
        count: how many.
        listening: the socket; nobody else accepts from it.
        limits: of each connection.
        tls: what the acceptors speak TLS with.

    Raises:
        ConfigurationError: this system cannot pass sockets to other processes.
    """

    def __init__(self, count: int, listening: socket.socket, limits: ConnectionLimits, tls: TlsFiles) -> None:
        if sys.platform == "win32":
            raise ConfigurationError(
                "acceptors = 0 is what Windows can have: sockets cannot be passed to other processes there"
            )
        self._count, self._listening, self._given = count, listening, {"limits": limits, "tls": tls}
        self._folder = Path(tempfile.mkdtemp(prefix="penstock-"))
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(self._folder / "writer"))
        self._links: set[_Link] = set()
        self._processes: dict[_Link, subprocess.Popen[bytes]] = {}
        self._stopping = False

    async def start(self, ask: Ask, always: Callable[[], Headers]) -> None:
        """Start them all. ask: answers requests; always: the headers of every answer."""
        self._ask, self._always = ask, always
        self._listening.listen(_BACKLOG)  # clients wait until the first process is there
        for _ in range(self._count):
            await self._start_one()

    async def _start_one(self) -> None:
        ours, theirs = socket.socketpair()
        for each in (ours, self._listening):
            each.setblocking(False)
        fixed = {"listening": self._listening.fileno(), "link": theirs.fileno(), "writer": self.socket.getsockname()}
        given = json.dumps(fixed | self._given)
        command = [sys.executable, "-P", "-m", "penstock.acceptor", given]
        with theirs:
            process = subprocess.Popen(  # noqa: S603 -- this package; takes a few milliseconds
                command, stdin=subprocess.DEVNULL, pass_fds=(self._listening.fileno(), theirs.fileno())
            )
        loop = asyncio.get_running_loop()
        _, link = await loop.create_connection(lambda: _Link(self._ask, self._always, self._lost), sock=ours)
        self._links.add(link)
        self._processes[link] = process

    def _lost(self, link: "_Link") -> None:
        """An acceptor has ended: its connections are lost, and their clients ask again."""
        self._links.discard(link)
        if not self._stopping:
            _log.error("an acceptor has ended with exit code %s; another one is started", self._processes.pop(link).poll())
            loop = asyncio.get_running_loop()
            loop.call_later(AGAIN_AFTER_S, lambda: self._stopping or asyncio.ensure_future(self._start_one()))

    async def stop(self, within_s: float) -> None:
        """Have them accept no more; returns when everything that they accepted is answered, or the time is over."""
        self._stopping = True
        for link in self._links:
            link.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*(link.ended.wait() for link in self._links)), within_s)

    async def close(self) -> None:
        """End the processes."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _END_S
        for link, process in self._processes.items():
            while process.poll() is None and loop.time() < until:
                await asyncio.sleep(0.01)
            if process.poll() is None:
                process.kill()
            link.close()
            process.wait()
        self.socket.close()
        self._listening.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class _Link(asyncio.Protocol):
    """The link to one acceptor. Answers that are made together are sent together."""

    def __init__(self, ask: Ask, always: Callable[[], Headers], lost: Callable[["_Link"], None]) -> None:
        self._ask, self._always, self._lost = ask, always, lost
        self._frames = Frames()
        self._heads: dict[bytes, Headers] = {}
        self._out = cast("FrameWriter", None)
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The acceptor may already send."""
        self._out = FrameWriter(cast("asyncio.Transport", transport))

    def connection_lost(self, _exc: Exception | None) -> None:
        """The acceptor has ended."""
        self.ended.set()
        self._lost(self)

    def data_received(self, data: bytes) -> None:
        """Requests."""
        for number, payload in self._frames.feed(data):
            if number == STOP:
                self.ended.set()
                continue
            head, body = split_request(payload)
            scope = {
                "type": "http",
                "method": "POST",
                "path": HOT_PATH,
                "query_string": b"",
                "headers": self._headers(head),
            }
            if not self._ask(scope, body, partial(self._respond, number)):
                self._out.send(pack(number))

    def _headers(self, head: bytes) -> Headers:
        """The headers of a head, which an acceptor has checked."""
        known = self._heads.get(head)
        if known is None:
            if len(self._heads) >= _MOST_HEADS:
                self._heads.clear()
            known = self._heads[head] = RequestHead(head).headers
        return known

    def _respond(self, number: int, status: int, given: Headers, body: bytes) -> None:
        self._out.send(pack(number, whole_response(status, [*self._always(), *given], body)))

    def stop(self) -> None:
        """Ask the acceptor to stop."""
        self._out.send(pack(STOP))

    def close(self) -> None:
        """Close the link."""
        self._out.close()


class PassedThroughProtocol(CoalescingProtocol):
    """The protocol of a connection that an acceptor passes through: its first line says who the client is."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._preface: bytes | None = b""

    def data_received(self, data: bytes) -> None:
        """The first line, then what the client sends."""
        if self._preface is not None:
            line, end, data = (self._preface + data).partition(b"\n")
            if not end:
                self._preface = line
                return
            self._preface = None
            word, host, port, scheme = line.split(b" ")
            if word != PREFACE:
                self.transport.close()
                return
            self.client = (host.decode(), int(port)) if host else None
            self.scheme = "https" if scheme == b"https" else "http"
        if data:
            super().data_received(data)
