"""What one hostile client does to another: the worst answer of /health, asked every 20 ms, during each flood.

python benchmarks/floods.py [--quick] [--json]
"""

import asyncio
import contextlib
import json
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
from _report import Row, main

from service import process

FLOODED = str(Path(__file__).parent / "_flooded.py")
EVERY_S = 0.02
WORST_MS = 250.0
GROWTH_MIB = 64.0
CONNECTIONS = 2_000
GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"


def run(quick: bool) -> list[Row]:
    """Serve, and send one flood after the other while somebody else asks."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        command = [sys.executable, "-m", "penstock.cli", "serve", FLOODED, "--data", folder]
        with process(lambda port: [*command, "--port", port]) as url:
            return list(rows(url, rounds=1 if quick else 5))


def rows(url: str, *, rounds: int) -> Iterator[Row]:
    """The worst answer during each flood, and what the process grew by in all of them."""
    served = process_at(url)
    for flood in FLOODS.values():  # whatever is loaded or compiled the first time is not a flood's doing
        flood(url)
    before = served.memory_info().rss
    for name, flood in FLOODS.items():
        with asking(url) as took_ms:
            for _ in range(rounds):
                flood(url)
        yield Row.at_most(f"worst /health during {name}", max(took_ms), "ms", WORST_MS)
    growth = max(0, served.memory_info().rss - before) / 2**20
    yield Row.at_most("growth of memory over all floods", growth, "MiB", GROWTH_MIB)


@contextlib.contextmanager
def asking(url: str) -> Iterator[list[float]]:
    """Ask /health every 20 ms in a thread; how long each answer took, in ms, from when it was due."""
    took_ms: list[float] = []
    done = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=url, timeout=120) as client:
            due = time.perf_counter()
            while not done.is_set() or not took_ms:
                client.get("/health").raise_for_status()
                took_ms.append((time.perf_counter() - due) * 1000)
                due = max(due + EVERY_S, time.perf_counter())
                time.sleep(max(0.0, due - time.perf_counter()))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield took_ms
    finally:
        done.set()
        thread.join()


def process_at(url: str) -> psutil.Process:
    """The process that listens there."""
    port = int(url.rpartition(":")[2])
    children = psutil.Process().children(recursive=True)
    found = [each for each in children if any(held.laddr.port == port for held in each.net_connections() if held.laddr)]
    return found[0]


def connect(url: str) -> socket.socket:
    """A connection of one's own."""
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=120)


def send(*pieces: bytes, repeated: int = 1) -> Callable[[str], None]:
    """A flood that sends bytes over one connection and reads until it is closed."""

    def flood(url: str) -> None:
        with connect(url) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(pieces[0])
            for _ in range(repeated):
                connection.sendall(b"".join(pieces[1:]))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    return flood


def post(path: str, body: object, status: int = 200) -> Callable[[str], None]:
    """A flood that is one request, which is answered with this status."""

    def flood(url: str) -> None:
        answer = httpx.post(url + path, content=json.dumps(body() if callable(body) else body), timeout=120)
        assert answer.status_code == status, answer.text

    return flood


def event(text: str) -> Callable[[], dict[str, str]]:
    """A payment with this text, under an id of its own."""
    fields = {"timestamp": "2026-02-06T10:00:00Z", "customer_id": "C1", "text": text}
    return lambda: fields | {"transaction_id": f"tx{time.time_ns()}"}


def silent(url: str) -> None:
    """Open many connections that say nothing, hold them for a second, and let go."""

    async def hold() -> None:
        host, port = url.removeprefix("http://").split(":")
        held = []
        for _ in range(CONNECTIONS):
            with contextlib.suppress(OSError):
                held.append((await asyncio.open_connection(host, int(port)))[1])
        await asyncio.sleep(1)
        for writer in held:
            writer.close()

    asyncio.run(hold())


CONDITION = f"text LIKE '{'%a' * 12}%b'"

FLOODS: dict[str, Callable[[str], None]] = {
    "a quoted cookie of 50 KB": send(GET + b'Cookie: penstock_session="', b"\\\\" * 25_000, b'"\r\n\r\n'),
    "a quoted cookie of 15 KB, which is read": send(GET + b'Cookie: penstock_session="', b"\\\\" * 7_500, b'"\r\n\r\n'),
    "a quoted cookie of 200 KB": send(GET + b'Cookie: penstock_session="', b"\\\\" * 100_000, b'"\r\n\r\n'),
    "a request line of 60 MB": send(b"GET /", b"a" * 1_000_000, repeated=60),
    "a header of 60 MB": send(GET + b"X: ", b"a" * 1_000_000, repeated=60),
    "a million headers": send(GET, b"X: a\r\n" * 100_000, repeated=10),
    "2,000 silent connections": silent,
    "LIKE in an event of 360 KB": post("/predict", event("crypto" * 60_000), 422),
    "LIKE over the longest text that is taken": post("/predict", event("crypto " * 1_100)),
    "LIKE with a dozen % in a rule's test": post(
        "/detectors/flooded/rules/test", {"when": CONDITION, "event": event("a" * 2_000)()}
    ),
}


if __name__ == "__main__":
    main(run)
