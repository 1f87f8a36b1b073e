"""Shards: CPU seconds of an event with one, two and four of them, each with its own worker, behind one Kafka broker.

Every shard gets the same number of events a second, whatever their number; so where the CPU of an event stays the same, what is
needed grows with the events alone, and machines can be added. Workers are pinned to the cores in turn; broker and producer
are not. The sum of workers and broker is compared with that of one shard.

    python benchmarks/shards.py [--quick] [--json]
    RATE=3000 python benchmarks/shards.py         events a second of each shard
"""

import contextlib
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from _report import Row, main
from _servers import Kafka
from _sharded import detector
from stream import Process, cpu_seconds, worker_process

from penstock.errors import BrokerError
from penstock.stream.port import Broker
from penstock.wiring.streams import open_broker
from service import prepare

SHARDS = (1, 2, 4)
RATE = int(os.environ.get("RATE", "2000"))
DECLARED = str(Path(__file__).parent / "_sharded.py")
WARM_S, MOST = 3.0, 1.1


@dataclass
class Cost:
    """CPU microseconds of an event."""

    worker: float
    broker: float

    @property
    def both(self) -> float:
        """Of workers and broker."""
        return self.worker + self.broker


def run(quick: bool) -> list[Row]:
    """One number of shards after the other, in turns."""
    seconds, turns = (6.0, 1) if quick else (20.0, 5)
    if Kafka.missing():
        return [Row.absent("CPU per event", "us", str(Kafka.missing()))]
    found: dict[int, list[Cost]] = {shards: [] for shards in SHARDS}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-")))
        bodies = prepare(folder, events=50_000, declared=detector)
        kafka = stack.enter_context(Kafka())
        cost(folder / "warm", f"{kafka.url}/warm", kafka.pid, 1, bodies, seconds)  # the broker compiles itself while it works
        for turn in range(turns):
            for shards in SHARDS:
                url = f"{kafka.url}/shards{shards}-{turn}"
                found[shards].append(cost(folder / f"{turn}-{shards}", url, kafka.pid, shards, bodies, seconds))
    return [row for shards in SHARDS for row in rows(shards, found)]


def rows(shards: int, found: dict[int, list[Cost]]) -> Iterator[Row]:
    """The figures of one number of shards."""
    worker, broker = (statistics.median(getattr(each, part) for each in found[shards]) for part in ("worker", "broker"))
    name = f"CPU per event, {shards} shard{'s' * (shards > 1)} at {RATE:,}/s each"
    yield Row.figure(f"{name}: worker", worker, "us")
    yield Row.figure(f"{name}: Kafka", broker, "us")
    if shards > 1:
        ratios = [
            (many.worker + many.broker) / (one.worker + one.broker) for many, one in zip(found[shards], found[1], strict=True)
        ]
        yield Row.at_most(f"{name}: worker and Kafka, beside one shard", statistics.median(ratios), "times", MOST)


def cost(folder: Path, url: str, kafka: int, shards: int, bodies: list[bytes], seconds: float) -> Cost:
    """Let events through, each shard at the same rate; the CPU that they took."""
    folder.mkdir()
    (folder / "models").symlink_to(folder.parent / "models")
    broker = open_broker(url, detector.name)
    broker.create(shards)
    with contextlib.ExitStack() as stack:
        options = ("--shard-key", "customer_id") if shards > 1 else ()
        workers = [
            stack.enter_context(worker_process(folder, url, DECLARED, f"w{number}", *options, owns=False))
            for number in range(shards)
        ]
        for number, each in enumerate(workers):
            pin(each.process.pid, number)
        wait_for_owners(workers, shards)
        stop = threading.Event()
        producing = threading.Thread(target=produce, args=(broker, bodies, RATE * shards, stop), daemon=True)
        producing.start()
        time.sleep(WARM_S)
        before, events = spent(workers, kafka), decided(workers)
        time.sleep(seconds)
        after, events = spent(workers, kafka), decided(workers) - events
        stop.set()
        producing.join()
    broker.close()
    return Cost(*(1e6 * (now - then) / events for now, then in zip(after, before, strict=True)))


def pin(process: int, number: int) -> None:
    """Let a process run on one core, the cores in turn."""
    cores = sorted(os.sched_getaffinity(0))
    for thread in Path(f"/proc/{process}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), {cores[number % len(cores)]})


def wait_for_owners(workers: list[Process], shards: int) -> None:
    """Until each shard has an owner."""
    until = time.monotonic() + 240
    while sum(shard["owner"] for each in workers for shard in each.shards()) < shards:
        if time.monotonic() > until:
            raise SystemExit("not every shard has an owner")
        time.sleep(0.1)


def spent(workers: list[Process], kafka: int) -> tuple[float, float]:
    """CPU seconds of all workers, and of the broker."""
    return sum(cpu_seconds("worker", each.process.pid) for each in workers), cpu_seconds("Kafka", kafka)


def decided(workers: list[Process]) -> int:
    """Events that their owners have decided."""
    return sum(shard["events"] for each in workers for shard in each.shards() if shard["owner"])


def produce(broker: Broker, bodies: list[bytes], rate: float, stop: threading.Event) -> None:
    """Send events at a rate, each to the shard of its customer."""
    outlet, began, sent = broker.outlet(), time.perf_counter(), 0
    while not stop.is_set():
        due = int((time.perf_counter() - began) * rate) - sent
        if due <= 0:
            time.sleep(0.002)
            continue
        for number in range(sent, sent + min(due, 500)):
            body = b'{"transaction_id":"s%d",' % number + bodies[number % len(bodies)]
            at = body.index(b'"customer_id":"') + len(b'"customer_id":"')
            try:
                outlet.put("transactions", body[at : body.index(b'"', at)].decode(), body)
            except BrokerError:
                time.sleep(0.01)
                break
            sent = number + 1
    outlet.close()


if __name__ == "__main__":
    main(run)
