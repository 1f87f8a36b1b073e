"""A service in a thread that answers as it is told and keeps what it was sent."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from penstock.adapters.http import ServiceAddress


@dataclass
class Scripted:
    """answer: (method, path, body) -> (status, body); None breaks the connection. pause_s: how long each answer takes."""

    answer: Callable[[str, str, bytes], tuple[int, bytes] | None] = lambda _method, _path, _body: (200, b"{}")
    pause_s: float = 0.0
    seen: list[tuple[str, bytes]] = field(default_factory=list)
    address: ServiceAddress = field(default_factory=lambda: ServiceAddress("127.0.0.1", 0))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, path, _ = head.split("\r\n")[0].split(" ")
                length = next(
                    (int(line.split(":")[1]) for line in head.lower().split("\r\n") if line.startswith("content-length")), 0
                )
                body = await reader.readexactly(length)
                self.seen.append((path, body))
                await asyncio.sleep(self.pause_s)
                answered = self.answer(method, path, body)
                if answered is None:
                    break
                status, content = answered
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n\r\n".encode()[:20])
                await writer.drain()  # in two pieces, as networks deliver
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n\r\n".encode()[20:] + content)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
def service() -> Iterator[Scripted]:
    scripted, loop, started = Scripted(), asyncio.new_event_loop(), threading.Event()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(scripted.serve, "127.0.0.1", 0)

    def run() -> None:
        server = loop.run_until_complete(start())
        scripted.address = ServiceAddress(*server.sockets[0].getsockname()[:2])
        started.set()
        loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    started.wait()
    yield scripted
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
