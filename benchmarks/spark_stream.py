"""Kafka to Kafka through Spark on two cores, the broker on the same machine: throughput, and the wait of an event.

Throughput is that of a topic that is full when the stream starts, the first micro-batch apart, since Spark and its Python
workers warm up in it. The wait is from the broker's time of an event to that of its decision, while events keep coming at
a tenth of the rate.
"""

import shutil
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
from _report import Row, main, percentile
from _workload import stream

from deploy.infra import Kafka

QUICK_EVENTS, EVENTS, MICRO_BATCH = 90_000, 300_000, 100_000
_SETTLE_S = 25.0


def run(quick: bool) -> list[Row]:
    name = "spark, Kafka to Kafka, 9 features, local[2]"
    lacks = Kafka.missing() or _lacks_jars()
    if lacks:
        return [Row.absent(name, "events/s", lacks)]
    events = QUICK_EVENTS if quick else EVENTS
    with Kafka() as kafka:
        rate, waits = _measured(kafka, events, QUICK_EVENTS // 3 if quick else MICRO_BATCH, quick=quick)
    # the quick run ends before Java has compiled what it runs: a figure, no verdict
    rows = [Row.figure(name, rate, "events/s") if quick else Row.at_least(name, rate, "events/s", 10_000)]
    if waits:
        rows += [Row.figure(f"spark, event to decision, p{p}", percentile(waits, p), "ms") for p in (50, 95, 99)]
    return rows


def _lacks_jars() -> str | None:
    return None if _jars() else "no jars with which Spark reads Kafka; fetch them with: make spark-jars"


def _jars() -> list[Path]:
    return sorted((Path(__file__).parents[1] / ".infra" / "spark-jars").glob("*.jar"))


def _measured(kafka: Any, events: int, micro_batch: int, *, quick: bool) -> tuple[float, list[float]]:
    from penstock.adapters.kafka import KafkaBroker
    from penstock.adapters.kafka.address import KafkaAddress
    from penstock.adapters.spark.session import close_session, open_session
    from penstock.adapters.spark.source import DetectorSource
    from penstock.adapters.spark.stream import SETTINGS, Cluster, start
    from penstock.wiring.detectors import load_detector

    url = f"{kafka.url}/b{uuid.uuid4().hex[:6]}"
    broker = KafkaBroker(url, "benchmark")
    broker.create()
    outlet = broker.outlet()
    bodies = _bodies(events)
    _put(outlet, bodies)
    folder = Path(tempfile.mkdtemp(prefix="penstock-benchmark-"))
    spark = open_session("local[2]", jars=_jars(), settings={**SETTINGS, "spark.sql.shuffle.partitions": "2"})
    ended: list[tuple[float, int]] = []
    address = KafkaAddress.of(url)
    try:
        query = start(
            spark,
            DetectorSource(str(Path(__file__).with_name("_workload.py:nine")), load_detector),
            Cluster(address.servers, address.topics, address.client()),
            folder,
            most_events=micro_batch,
            on_done=lambda done: ended.append((time.perf_counter(), done.decisions)),
        )
        while sum(n for _, n in ended) < events:
            if query.exception() is not None:
                raise RuntimeError(str(query.exception()))
            time.sleep(0.1)
        first, last = ended[0][0], ended[-1][0]
        rate = sum(n for _, n in ended[1:]) / (last - first)
        waits = [] if quick else _waits(outlet, address, rate / 10)
        query.stop()
    finally:
        close_session(spark)
        outlet.close()
        broker.close()
        shutil.rmtree(folder, ignore_errors=True)
    return rate, waits


def _bodies(n: int) -> list[bytes]:
    frame = stream(n, days=30)
    encode = msgspec.json.Encoder().encode
    return [encode({**row, "timestamp": row["timestamp"].isoformat()}) for row in frame.iter_rows(named=True)]


def _put(outlet: Any, bodies: list[bytes]) -> None:
    from penstock.errors import BrokerError

    for body in bodies:
        while True:
            try:
                outlet.put("transactions", "", body)
                break
            except BrokerError:
                outlet.flush(1)
    outlet.flush(60)


def _waits(outlet: Any, address: Any, per_second: float) -> list[float]:
    """Milliseconds from the broker's time of an event to that of its decision, at this rate."""
    prefix = uuid.uuid4().hex[:6]
    made = [body.replace(b'"tx', f'"{prefix}'.encode(), 1) for body in _bodies(int(per_second * _SETTLE_S))]
    stop = threading.Event()

    def keep_on() -> None:
        began = time.perf_counter()
        for k, body in enumerate(made):
            outlet.put("transactions", "", body)
            ahead = began + k / per_second - time.perf_counter()
            if ahead > 0 and stop.wait(ahead):
                return

    sending = threading.Thread(target=keep_on)
    sending.start()
    sent = _stamps(address, address.topics.transactions, "transaction_id", prefix, len(made))
    decided = _stamps(address, address.topics.decisions, "transaction_id", prefix, len(made))
    stop.set()
    sending.join()
    return [float(decided[name] - sent[name]) for name in sent]


def _stamps(address: Any, topic: str, field: str, prefix: str, n: int) -> dict[str, int]:
    """When the broker took each message of these events, in milliseconds."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    consumer = Consumer(address.client(group_id=uuid.uuid4().hex, isolation_level="read_committed"))
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    found: dict[str, int] = {}
    named = msgspec.json.Decoder(dict[str, Any])
    until = time.monotonic() + 120
    while len(found) < n and time.monotonic() < until:
        for message in consumer.consume(10_000, 1.0):
            name = str(named.decode(message.value())[field]) if prefix.encode() in message.value() else ""
            if name.startswith(prefix):
                found[name] = message.timestamp()[1]
    consumer.close()
    return found


if __name__ == "__main__":
    main(run)
