"""How long nothing is decided behind a broker when the owner is killed, or stopped, under load; and whether anything is lost.

Two workers, one of which owns; 500 events a second. In each round the owner is killed with SIGKILL (then, in as many rounds,
ended with SIGTERM), another worker is started in its place, and the longest time between two decisions is taken as a consumer
of committed messages sees it. In the end each event must have been decided and published once.

    python benchmarks/takeover.py [--quick] [--json]            Kafka, 20 rounds of each
    BROKER=redis python benchmarks/takeover.py                  Redis Streams
    ROUNDS=50 python benchmarks/takeover.py                     more
"""

import contextlib
import json
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from _report import Row, main, percentile
from _served import detector
from _servers import Kafka, Redis
from stream import BROKER, SERVED, Process, worker_process

from penstock.stream.port import Broker
from penstock.wiring.streams import open_broker
from service import prepare

RATE = 500.0
SETTLE_S = 2.0
"""Seconds of quiet flow before each end of an owner."""


def run(quick: bool) -> list[Row]:
    """Kill and stop owners, each as often as asked."""
    server = {"kafka": Kafka, "redis": Redis}[BROKER]
    if server.missing():
        return [Row.absent("takeover", "s", str(server.missing()))]
    rounds = int(os.environ.get("ROUNDS", "2" if quick else "20"))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-")))
        bodies = prepare(folder, events=50_000)
        running = stack.enter_context(server())
        url = f"{running.url}/takeover" if BROKER == "kafka" else f"{running.url}?prefix=takeover."
        broker = open_broker(url, detector.name)
        broker.create()
        pair = Pair(stack, folder, url)
        seen = Seen(broker, url)
        feeder = Feeder(broker, bodies)
        for part in (seen, feeder):
            part.start()
        killed = [pause(pair, seen, signal.SIGKILL) for _ in range(rounds)]
        stopped = [pause(pair, seen, signal.SIGTERM) for _ in range(rounds)]
        sent = feeder.stop()
        lost, twice = seen.settled(sent)
    name = f"{BROKER}, {rounds} rounds"
    return [
        Row.at_most(f"longest pause, owner killed, {name}", max(killed), "s", 3.0),
        Row.figure(f"median pause, owner killed, {name}", percentile(killed, 50), "s"),
        Row.at_most(f"longest pause, owner stopped, {name}", max(stopped), "s", 1.0),
        Row.at_most(f"events lost of {sent:,}", lost, "events", 0),
        Row.at_most(f"decisions published twice of {sent:,}", twice, "events", 0),
    ]


class Pair:
    """Two workers, each in a data folder that its successor goes on with."""

    def __init__(self, stack: contextlib.ExitStack, folder: Path, url: str) -> None:
        self._stack, self._folder, self._url = stack, folder, url
        self._workers: dict[str, Process] = {}
        self._start("first")
        self._start("second")

    def _start(self, name: str) -> None:
        process = worker_process(self._folder, self._url, SERVED, name, owns=not self._workers)
        self._workers[name] = self._stack.enter_context(process)
        self._workers[name].wait_until(lambda status: status["trouble"] is None)

    def end_owner(self, how: signal.Signals) -> float:
        """End the worker that owns; returns when."""
        name = next(name for name, worker in self._workers.items() if worker.status()["owner"])
        process = self._workers[name].process
        began = time.perf_counter()
        process.send_signal(how)
        threading.Thread(target=self._again, args=(name,)).start()
        return began

    def _again(self, name: str) -> None:
        self._workers[name].process.wait(60)
        time.sleep(SETTLE_S)
        self._start(name)

    def settled(self) -> bool:
        """Whether one owns, and the other follows."""
        with contextlib.suppress(OSError, ValueError):
            found = [worker.status() for worker in self._workers.values()]
            return sorted(each["owner"] for each in found) == [False, True] and not any(each["trouble"] for each in found)
        return False


def pause(pair: Pair, seen: "Seen", how: signal.Signals) -> float:
    """End the owner; returns the longest time without a decision from then on."""
    while not pair.settled():
        time.sleep(0.1)
    time.sleep(SETTLE_S)
    began = pair.end_owner(how)
    time.sleep(4 * SETTLE_S)
    return seen.longest_since(began)


class Feeder(threading.Thread):
    """Sends events at a steady rate."""

    def __init__(self, broker: Broker, bodies: list[bytes]) -> None:
        super().__init__(daemon=True)
        self._outlet, self._bodies, self._ending, self._sent = broker.outlet(), bodies, threading.Event(), 0

    def run(self) -> None:
        """Send until told to stop."""
        began = time.perf_counter()
        while not self._ending.wait(0.005):
            for number in range(self._sent, int((time.perf_counter() - began) * RATE)):
                body = b'{"transaction_id":"b%d",' % number + self._bodies[number % len(self._bodies)]
                self._outlet.put("transactions", "", body)
                self._sent = number + 1

    def stop(self) -> int:
        """Send no more; returns how many were sent."""
        self._ending.set()
        self.join()
        self._outlet.close()
        return self._sent


class Seen(threading.Thread):
    """Reads committed decisions: their ids, and when each portion came."""

    def __init__(self, broker: Broker, url: str) -> None:
        super().__init__(daemon=True)
        self._ids: Counter[str] = Counter()
        self._came: list[float] = []
        self._reading = (_kafka if BROKER == "kafka" else _redis)(broker, url)

    def run(self) -> None:
        """Read for ever."""
        for bodies in self._reading:
            if bodies:
                self._came.append(time.perf_counter())
                self._ids.update(json.loads(body)["transaction_id"] for body in bodies)

    def longest_since(self, began: float) -> float:
        """The longest time between two portions, or since `began`."""
        came = [began, *(at for at in self._came if at > began), time.perf_counter()]
        return max(later - earlier for earlier, later in pairwise(came))

    def settled(self, sent: int) -> tuple[int, int]:
        """How many events have no decision after a while, and how many more than one."""
        until = time.monotonic() + 60
        while len(self._ids) < sent and time.monotonic() < until:
            time.sleep(0.2)
        return sent - len(self._ids), sum(count > 1 for count in self._ids.values())


def _kafka(broker: Broker, url: str) -> Iterator[list[bytes]]:
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    from penstock.adapters.kafka.address import KafkaAddress

    settings = KafkaAddress.of(url).client(group_id="bench-seen", isolation_level="read_committed", enable_auto_commit=False)
    with contextlib.closing(Consumer(settings)) as consumer:
        consumer.assign([TopicPartition(broker.topics.decisions, 0, OFFSET_BEGINNING)])
        while True:
            yield [message.value() for message in consumer.consume(512, 0.01) if message.error() is None]


def _redis(broker: Broker, url: str) -> Iterator[list[bytes]]:
    import redis

    after = "0-0"
    with contextlib.closing(redis.Redis.from_url(url.partition("?")[0])) as client:
        while True:
            bodies = []
            for _, entries in client.xread({broker.topics.decisions: after}, 512, 1_000) or ():
                after = entries[-1][0]
                bodies += [next(iter(fields.values())) for _, fields in entries]
            yield bodies


if __name__ == "__main__":
    main(run)
