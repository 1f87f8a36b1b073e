"""`/predict` beside a worker: 500 requests a second through an API process, a broker and a worker, answered within the budget.

python benchmarks/beside.py [--quick] [--json]            Kafka; BROKER=redis for Redis Streams; SECONDS=60 unless quick
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from _report import Row, main
from _servers import Kafka, Redis

from penstock.adapters.http import ServiceAddress, request
from penstock.adapters.load import fetch, measure
from service import environment, prepare
from service import process as served

SERVED = str(Path(__file__).parent / "_served.py")
RATE = 500
LIMITS_MS = {50: 25.0, 95: 75.0, 99: 95.0}


def run(quick: bool) -> list[Row]:
    """Start broker, worker and API process, and measure at the rate."""
    seconds = int(os.environ.get("SECONDS", "10" if quick else "60"))
    kind = {"kafka": Kafka, "redis": Redis}[os.environ.get("BROKER", "kafka")]
    lack = kind.missing()
    if lack:
        return [Row.absent("beside", "ms", lack)]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-")))
        bodies = prepare(folder, events=50_000)
        broker = stack.enter_context(kind())
        options = [SERVED, "--stream", broker.url, "--data", str(folder / "data"), "--models", str(folder / "models")]
        stack.enter_context(worker(folder, options))
        command = [sys.executable, "-m", "penstock.cli", "serve", *options]
        url = stack.enter_context(served(lambda port: [*command, "--port", port]))
        settle(url, bodies)
        return at_rate(url, bodies, seconds, kind.name)


def settle(url: str, bodies: list[bytes]) -> None:
    """Ask until a decision comes in time: the worker may still be starting."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        before = degraded(url)
        measure(ServiceAddress.of(url), maker(url, bodies), requests=300, concurrency=8, rate=100)
        if degraded(url) == before:
            return
    raise SystemExit("no decision came in time")


def maker(url: str, bodies: list[bytes]):
    """Makes requests with ids of their own."""
    address, run = ServiceAddress.of(url), b'{"transaction_id":"%x-' % time.time_ns()
    return lambda number: request(address, "POST", "/predict", run + b'%d",' % number + bodies[number % len(bodies)])


def at_rate(url: str, bodies: list[bytes], seconds: int, broker: str) -> list[Row]:
    """Latencies as callers saw them, and how many were told something in place of the decision."""
    before = degraded(url)
    found = measure(ServiceAddress.of(url), maker(url, bodies), requests=RATE * seconds, concurrency=64, rate=RATE).as_json()
    late = degraded(url) - before
    at = f"/predict beside a worker on {broker}, {RATE}/s for {seconds} s"
    latencies = [Row.at_most(f"p{n} {at}", found["latency_ms"][f"p{n}"], "ms", limit) for n, limit in LIMITS_MS.items()]
    return [*latencies, Row.at_most(f"degraded answers, {at}", float(late), "answers", 0.0)]


def degraded(url: str) -> float:
    """How many callers were told something in place of a decision so far."""
    _, text = fetch(ServiceAddress.of(url), "/metrics")
    lines = [line for line in text.decode().splitlines() if line.startswith("penstock_late_answers_total")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@contextlib.contextmanager
def worker(folder: Path, options: list[str]) -> Iterator[None]:
    """A worker that runs while the block does."""
    with (folder / "worker.log").open("wb") as said:
        command = [sys.executable, "-m", "penstock.cli", "worker", *options]
        running = subprocess.Popen(command, stdout=said, stderr=said, env=environment())
        try:
            yield
        finally:
            running.terminate()
            running.wait(60)


if __name__ == "__main__":
    main(run)
