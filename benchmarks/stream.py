"""A worker behind a broker, with PostgreSQL and Redis beside it: events a second, latency, and what each part costs.

Everything shares this machine: producer, broker, worker, PostgreSQL, Redis. Beside it the same decisions by a consumer that
takes one message at a time: decides it, inserts its row and commits, sets its key, produces it and flushes, commits the offset.
Latency is from the moment a message is handed to the producer until its decision is read by a consumer of committed data.
CPU seconds of each process, divided by events, are the cost per event of each part.

    python benchmarks/stream.py [--quick] [--json]            Kafka
    BROKER=redis python benchmarks/stream.py                  Redis Streams
    SECONDS=300 python benchmarks/stream.py                   longer
"""

import bisect
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from _report import Row, main, percentile
from _served import detector
from _servers import Kafka, Postgres, Redis

from penstock import Engine
from penstock.adapters.postgres import create
from penstock.errors import BrokerError
from penstock.stream.port import Broker
from penstock.wiring.streams import open_broker
from service import prepare

SERVED = str(Path(__file__).parent / "_served.py")
BROKER = os.environ.get("BROKER", "kafka")
TARGETS = {"kafka": 25_000, "redis": 15_000}
ONE_BY_ONE = 20
WARM = 200
"""Events before the one-at-a-time consumer is timed: topics are made, code is compiled."""


def run(quick: bool) -> list[Row]:
    """Start the servers, then one measurement after the other."""
    seconds = int(os.environ.get("SECONDS", "8" if quick else "60"))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-")))
        lacking = [kind.missing() for kind in (Kafka, Postgres, Redis) if kind.missing()]
        if lacking:
            return [Row.absent("stream", "events/s", "; ".join(map(str, lacking)))]
        bodies = prepare(folder, events=50_000 if quick else 200_000)
        kept = (
            {} if BROKER == "redis" else {"appendonly": "no"}
        )  # as a store it may forget: how far it came is forgotten with it
        redis = stack.enter_context(Redis(settings=kept))
        postgres = stack.enter_context(Postgres(settings={"max_wal_size": "4GB"}))
        kafka = stack.enter_context(Kafka()) if BROKER == "kafka" else None
        place = Place(folder, f"{kafka.url}/full" if kafka else f"{redis.url}?prefix=full.", redis, postgres, bodies)
        place.pids = {"PostgreSQL": postgres.pid, "Redis": redis.pid} | ({"Kafka": kafka.pid} if kafka else {})
        rows = []
        with worker(place) as process:
            full = flow(place, process, seconds=seconds, rate=TARGETS[BROKER] * 1.1)
            rows += throughput_rows(full, one_by_one(place, 3.0 if quick else 15.0), seconds, cpu_costs(full))
            half = flow(place, process, seconds=seconds, rate=TARGETS[BROKER] / 2, timed=True)
        return rows + latency_rows(half)


@dataclass
class Place:
    """Where everything is."""

    folder: Path
    url: str
    redis: Redis
    postgres: Postgres
    bodies: list[bytes]
    sent: int = 0
    database: str = ""
    pids: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.database = self.postgres.create("bench")
        create(self.database)
        self.broker = open_broker(self.url, detector.name)
        self.broker.create()
        batched = f"{self.url}?linger.ms=5" if BROKER == "kafka" else self.url  # as a producer of so much would have it
        self.producing = open_broker(batched, detector.name)


@dataclass
class Flow:
    """What was seen of one run."""

    events: int
    seconds: float
    latencies_ms: list[float] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)
    stores: dict[str, float] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        """Events a second that were decided and are in every store."""
        return min(self.events / self.seconds, *self.stores.values())


def stored(before: dict[str, Any], after: dict[str, Any]) -> dict[str, float]:
    """Which share of what was decided in between each store has taken in meanwhile."""
    decided = after["position"] - before["position"]
    return {
        name: (decided - sink["behind"] + before["sinks"][name]["behind"]) / max(decided, 1)
        for name, sink in after["sinks"].items()
    }


# ---------------------------------------------------------------- the worker, and what flows through it


def worker(place: Place) -> contextlib.AbstractContextManager["Process"]:
    """A worker that owns, with its stores."""
    return worker_process(place.folder, place.url, SERVED, "worker", "--ledger", place.database, "--redis", place.redis.url)


@contextlib.contextmanager
def worker_process(folder: Path, url: str, declared: str, name: str, *options: str, owns: bool = True) -> Iterator["Process"]:
    """A worker of the detector in the file `declared` that owns, or may; models, data, port and log are in the folder."""
    port_file = folder / f"{name}.port"
    port_file.unlink(missing_ok=True)
    command = [sys.executable, "-c", "from penstock.cli import main; main()", "worker", declared, "--stream", url]
    command += ["--data", str(folder / name), "--models", str(folder / "models"), "--metrics-port", "0"]
    command += ["--port-file", str(port_file), *options]
    with (folder / f"{name}.log").open("wb") as log:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "PYTHONWARNINGS": "ignore"}
        process = Process(subprocess.Popen(command, stdout=log, stderr=log, env=environment), port_file, Path(log.name))
    try:
        process.wait_until(lambda status: status["owner"] or not owns)
        yield process
    finally:
        process.process.terminate()
        process.process.wait(60)


class Process:
    """A running worker."""

    def __init__(self, process: "subprocess.Popen[bytes]", port_file: Path, log: Path) -> None:
        self.process, self._port_file, self._log = process, port_file, log

    def status(self) -> dict[str, Any]:
        """How its shard stands."""
        return self.shards()[0]

    def shards(self) -> list[dict[str, Any]]:
        """How each of its shards stands."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port_file.read_text()}/health", timeout=30) as answer:
            found: list[dict[str, Any]] = json.load(answer)["shards"]
        return found

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port_file.read_text()}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))

    def wait_until(
        self, true: Callable[[dict[str, Any]], bool], seconds: float = 120, *, every_s: float = 0.1
    ) -> dict[str, Any]:
        """Its status, once it is as wanted."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise SystemExit("the worker ended: " + self._log.read_text()[-2_000:])
            with contextlib.suppress(OSError, ValueError):
                status = self.status()
                if true(status):
                    return status
            time.sleep(every_s)
        raise SystemExit("the worker did not become ready")

    def stores(self) -> int:
        """The number of the process that feeds its stores."""
        pid = self.process.pid
        found = [task.read_text().split() for task in Path(f"/proc/{pid}/task").glob("*/children")]
        return int(next(child for children in found for child in children))


def flow(place: Place, process: Process, *, seconds: float, rate: float, timed: bool = False) -> Flow:
    """Let events through at a rate; count what is decided, and if asked time a sample of it."""
    producer = Producer(place, rate, place.producing)
    producer.start()
    time.sleep(3.0)  # past the first batches
    pids = place.pids | {"worker": process.process.pid, "its stores": process.stores(), "producer": os.getpid()}
    before, began = process.status(), time.perf_counter()
    cpu = {name: cpu_seconds(name, pid) for name, pid in pids.items()}
    latencies = sampled(place, producer, seconds) if timed else time.sleep(seconds)
    after, spent = process.status(), time.perf_counter() - began
    found = Flow(after["events"] - before["events"], spent, latencies or [])
    found.cpu = {name: cpu_seconds(name, pid) - cpu[name] for name, pid in pids.items()}
    found.stores = {name: share * found.events / spent for name, share in stored(before, after).items()}
    producer.stop()
    process.wait_until(lambda now: now["lag"] == 0 and not any(sink["behind"] for sink in now["sinks"].values()), 300)
    return found


class Producer(threading.Thread):
    """Sends events in small portions, from a thread; ids count on over all runs."""

    def __init__(self, place: Place, rate: float, broker: Broker) -> None:
        super().__init__(daemon=True)
        self._place, self._rate, self._broker = place, rate, broker
        self._ending = threading.Event()
        self._handed: list[tuple[int, float]] = []

    def handed_at(self, number: int) -> float | None:
        """When an event was given to the broker's client, to some milliseconds; None where it was before this run."""
        place = bisect.bisect_right(self._handed, (number, float("inf"))) - 1
        return self._handed[place][1] if place >= 0 else None

    def run(self) -> None:
        """Send until told to stop."""
        place, outlet = self._place, self._broker.outlet()
        began, first = time.perf_counter(), place.sent
        while not self._ending.is_set():
            due = int((time.perf_counter() - began) * self._rate) - (place.sent - first)
            if due <= 0:
                time.sleep(0.002)
                continue
            self._handed.append((place.sent, time.perf_counter()))
            for number in range(place.sent, place.sent + min(due, 500)):
                body = b'{"transaction_id":"b%d",' % number + place.bodies[number % len(place.bodies)]
                try:
                    outlet.put("transactions", "", body)
                except BrokerError:
                    time.sleep(0.01)
                    break
                place.sent = number + 1
        outlet.close()

    def stop(self) -> None:
        """Send no more."""
        self._ending.set()
        self.join()


def sampled(place: Place, producer: Producer, seconds: float) -> list[float]:
    """Milliseconds from sending to reading, of the first decision that comes after each of many moments."""
    found, until = [], time.perf_counter() + seconds
    for number in (_kafka_numbers if BROKER == "kafka" else _redis_numbers)(place, until):
        handed = producer.handed_at(number)
        if handed is not None:
            found.append(1000 * (time.perf_counter() - handed))
    return found


def _kafka_numbers(place: Place, until: float) -> Iterator[int]:
    """One committed decision in 64, as a consumer of all of them sees it."""
    from confluent_kafka import OFFSET_END, Consumer, TopicPartition

    from penstock.adapters.kafka.address import KafkaAddress

    address = KafkaAddress.of(place.url)
    settings = address.client(group_id="bench-tap", isolation_level="read_committed", enable_auto_commit=False)
    with contextlib.closing(Consumer(settings)) as consumer:
        consumer.list_topics(timeout=10)
        consumer.assign([TopicPartition(address.topics.decisions, 0, OFFSET_END)])
        consumer.poll(5.0)
        while time.perf_counter() < until:
            for message in consumer.consume(256, 0.01):
                if message.offset() % 64 == 0:
                    yield int(message.key()[1:])


def _redis_numbers(place: Place, until: float) -> Iterator[int]:
    import redis

    with contextlib.closing(redis.Redis.from_url(place.redis.url)) as client:
        while time.perf_counter() < until:
            for _, entries in client.xread({place.broker.topics.decisions: "$"}, 1, 1_000) or ():
                for _, fields in entries:
                    body = next(iter(fields.values()))
                    yield int(body[20 : body.index(b'"', 20)])
            time.sleep(0.01)


# ---------------------------------------------------------------- the consumer it is compared with


def one_by_one(place: Place, seconds: float) -> float:
    """Events a second of a consumer that flushes, inserts and commits each message."""
    if BROKER == "redis":
        return _redis_one_by_one(place, seconds)
    import psycopg
    import redis
    from confluent_kafka import Consumer, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic

    from penstock.adapters.kafka.address import KafkaAddress

    address = KafkaAddress.of(place.url)
    admin = AdminClient(address.client())
    admin.create_topics([NewTopic("one-by-one", 1, 1)])["one-by-one"].result(30)
    producer = Producer(address.client(enable_idempotence=True))
    consumer = Consumer(address.client(group_id="bench-one", enable_auto_commit=False, auto_offset_reset="earliest"))
    consumer.list_topics(timeout=10)
    consumer.assign([TopicPartition(address.topics.transactions, 0, 0)])
    keys = redis.Redis.from_url(place.redis.url)
    with psycopg.connect(place.database) as rows, Engine(detector, models=place.folder / "models") as engine:
        rows.execute("CREATE TABLE one_by_one (id text PRIMARY KEY, decision jsonb)")
        began, count = time.perf_counter(), -WARM
        while count < 1 or time.perf_counter() - began < seconds:
            if count == 0:
                began = time.perf_counter()
            message = consumer.poll(1.0)
            if message is None or message.error() is not None:
                continue
            [decision] = engine.decide_json([message.value()])
            name = msgspec.json.decode(decision)["transaction_id"]
            rows.execute("INSERT INTO one_by_one VALUES (%s, %s) ON CONFLICT DO NOTHING", (name, decision.decode()))
            rows.commit()
            keys.set(f"one:{name}", decision, ex=86_400)
            producer.produce("one-by-one", decision, name)
            producer.flush()
            consumer.commit(message, asynchronous=False)
            count += 1
        spent = time.perf_counter() - began
    consumer.close()
    keys.close()
    return count / spent


def _redis_one_by_one(place: Place, seconds: float) -> float:
    import psycopg
    import redis

    keys = redis.Redis.from_url(place.redis.url)
    source = place.broker.topics.transactions
    with psycopg.connect(place.database) as rows, Engine(detector, models=place.folder / "models") as engine:
        rows.execute("CREATE TABLE one_by_one (id text PRIMARY KEY, decision jsonb)")
        for number in range(20_000):  # what the worker has read may be trimmed already
            body = b'{"transaction_id":"o%d",' % number + place.bodies[number % len(place.bodies)]
            keys.xadd("one-by-one-in", {"event": body})
        keys.xgroup_create("one-by-one-in", "one", "0")
        began, count = time.perf_counter(), -WARM
        while count < 1 or time.perf_counter() - began < seconds:
            if count == 0:
                began = time.perf_counter()
            [[_, [(entry, fields)]]] = keys.xreadgroup("one", "c", {"one-by-one-in": ">"}, count=1)
            [decision] = engine.decide_json([fields[b"event"]])
            name = msgspec.json.decode(decision)["transaction_id"]
            rows.execute("INSERT INTO one_by_one VALUES (%s, %s) ON CONFLICT DO NOTHING", (name, decision.decode()))
            rows.commit()
            keys.set(f"one:{name}", decision, ex=86_400)
            keys.xadd("one-by-one-out", {"event": decision})
            keys.xack("one-by-one-in", "one", entry)
            count += 1
        spent = time.perf_counter() - began
    keys.close()
    assert source
    return count / spent


# ---------------------------------------------------------------- rows


def cpu_seconds(name: str, pid: int) -> float:
    """CPU time of a process so far; PostgreSQL is a process for each connection, too."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(stat.parent.name) == pid or (name == "PostgreSQL" and int(fields[1]) == pid):
                total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def cpu_costs(full: Flow) -> list[Row]:
    """Microseconds of CPU per event, by part."""
    return [Row.figure(f"CPU per event: {name}", 1e6 * spent / full.events, "us") for name, spent in full.cpu.items()]


def throughput_rows(full: Flow, single: float, seconds: float, costs: list[Row]) -> list[Row]:
    name = f"{BROKER} -> decisions, PostgreSQL, Redis, for {seconds:g} s"
    return [
        Row.at_least(name, full.per_second, "events/s", TARGETS[BROKER]),
        Row.faster(f"{name}, beside", full.per_second, "events/s", "one message at a time", single, target=ONE_BY_ONE),
        Row.figure("of these decided", full.events / full.seconds, "events/s"),
        *(Row.figure(f"of these in {store}", rate, "events/s") for store, rate in full.stores.items()),
        *costs,
    ]


def latency_rows(half: Flow) -> list[Row]:
    at = f"from event to decision at {half.per_second:,.0f}/s"
    limits = {50: 25.0, 95: 75.0, 99: 95.0}
    taken = half.latencies_ms
    return [Row.at_most(f"p{percent} {at}", percentile(taken, percent), "ms", limit) for percent, limit in limits.items()]


if __name__ == "__main__":
    main(run)
