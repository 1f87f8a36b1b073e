"""Spark between a real Kafka's topics decides what one process decides, once each, also across starts."""

import importlib
import os
import signal
import subprocess
import sys
import time

import msgspec
import polars as pl
import psycopg
import pytest
import redis

from penstock import Engine
from penstock.adapters.kafka.address import KafkaAddress
from penstock.errors import ConfigurationError
from penstock.ledger import MemoryLedger
from penstock.offline.simulate import simulate, submitted
from penstock.offline.train import train
from penstock.stream.replica import Replica
from penstock.wiring.detectors import load_detector
from tests.integration import crash_worker, spark_world
from tests.integration.behind import Behind, embedded, essence
from tests.integration.spark_servers import JARS, jars, lacking

pytest.importorskip("pyspark")
from penstock.adapters.spark.source import DetectorSource
from penstock.adapters.spark.stream import Cluster, start
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # py4j leaves its sockets to the collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
EVENTS = int(os.environ.get("PENSTOCK_SPARK_EVENTS", "100000"))
PENSTOCK = [sys.executable, "-c", "from penstock.cli import main; main()"]
DETECTOR = f"{crash_worker.__file__}:crash"


@pytest.fixture
def behind(kafka, topic_prefix):
    """The topics of a detector, empty."""
    if not jars():
        lacking("the jars with which Spark reads Kafka cannot be had")
    found = Behind(f"{kafka.url}/{topic_prefix.rstrip('.')}", "crash")
    yield found
    found.close()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def cluster(behind) -> Cluster:
    address = KafkaAddress.of(behind.url)
    return Cluster(address.servers, address.topics, address.client())


class Running:
    """A stream that runs while the block lasts."""

    def __init__(self, spark, behind, checkpoint, reference=DETECTOR, models=None, **options):
        self.done = []
        source = DetectorSource(reference, load_detector, models)
        self.query = start(spark, source, cluster(behind), checkpoint, on_done=self.done.append, **options)

    def __enter__(self):
        return self

    def wait(self, true, seconds=600):
        def holds():
            if self.query.exception() is not None:
                raise self.query.exception()
            return true()

        return wait_until(holds, seconds, 0.25)

    def __exit__(self, *_):
        self.query.stop()


def test_decisions_features_and_order_are_those_of_one_process_across_starts(spark, behind, tmp_path):
    """Late events, ids that come again, poison; the second start goes on where the first one was stopped."""
    events = crash_worker.events(3_000)
    poison = [b"not json", b"", msgspec.json.encode({**events[0], "transaction_id": "p", "amount": "much"})]
    behind.put("transactions", [*events[:1_000], *poison, *events[:50]])
    with Running(spark, behind, tmp_path, most_events=400) as running:
        running.wait(lambda: len(behind.bodies("decisions")) >= 1_000)
        running.wait(lambda: len(behind.bodies("quarantine")) == len(poison))
    behind.put("transactions", [*events[900:], *events[:20], *events[2_900:]])
    with Running(spark, behind, tmp_path, most_events=700) as running:
        running.wait(lambda: len(behind.bodies("decisions")) >= len(events))
        behind.put("transactions", [{**events[-1], "transaction_id": "last"}])
        running.wait(lambda: any(found["transaction_id"] == "last" for found in behind.read("decisions")))
    expected = embedded(crash_worker.detector, [*events, {**events[-1], "transaction_id": "last"}])
    assert essence(behind.read("decisions")) == essence(expected)
    assert all(found["cause"] for found in behind.read("quarantine"))
    assert digest_of_the_journal(behind, fence=2) == digest_of_one_process([*events, {**events[-1], "transaction_id": "last"}])
    with pytest.raises(ConfigurationError, match="belongs to 'crash'"):
        Running(spark, behind, tmp_path, "banking")
    with pytest.raises(ConfigurationError, match="holds the journal of a worker, or of another checkpoint"):
        Running(spark, behind, tmp_path / "another")


def digest_of_the_journal(behind, *, fence: int) -> str:
    """The state of a replica that has followed it, as an API beside the stream would."""
    replica = Replica(MemoryLedger(), lambda ledger: Engine(crash_worker.detector, ledger=ledger))
    journal = behind.broker.journal(0, None)
    replica.catch_up(journal)
    journal.close()
    assert replica.fence == fence
    found = replica.engine.pipeline.state.digest()
    replica.close()
    return found


def digest_of_one_process(events) -> str:
    with Engine(crash_worker.detector) as engine:
        engine.decide_json([msgspec.json.encode(event) for event in events])
        return engine.pipeline.state.digest()


class Command:
    """`penstock spark stream` as a process of its own, killed if it still runs when the block ends."""

    def __init__(self, behind, folder, *options):
        command = [*PENSTOCK, "spark", "stream", DETECTOR, "--stream", behind.url, "--checkpoint", str(folder / "state")]
        command += ["--jars", str(JARS), "--master", "local[2]", "--without-labels", *options]
        self.log = folder / "log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, env=environment())

    def __enter__(self):
        return self

    def wait(self, true):
        wait_until(lambda: true() or self.process.poll() is not None, 300)
        assert self.process.poll() is None, self.log.read_text()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(120) == 0, self.log.read_text()

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def test_the_command_feeds_the_stores_and_ends_when_asked(behind, postgres_url, redis_url, tmp_path):
    """What was decided is in PostgreSQL and in Redis, once each."""
    subprocess.run([*PENSTOCK, "ledger", "create", "--ledger", postgres_url], check=True, env=environment())
    events = crash_worker.events(300)
    behind.put("transactions", [*events, *events[:30]])
    with Command(behind, tmp_path, "--ledger", postgres_url, "--redis", redis_url) as running:
        running.wait(lambda: len(behind.bodies("decisions")) == len(events))
        running.stop()
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("select count(*), count(distinct transaction_id) from decisions").fetchone() == (300, 300)
    client = redis.Redis.from_url(redis_url)
    assert len(list(client.scan_iter("penstock:crash:decision:*"))) == 300
    client.close()


def test_killed_at_any_moment_it_loses_nothing_and_shows_nothing_twice(behind, tmp_path):
    """The driver with its Java and Python workers, twice, in the middle of a stream; the third start ends it."""
    events = crash_worker.events(2_000)
    behind.put("transactions", events)
    for decided in (1, 900):
        with Command(behind, tmp_path, "--max-events", "300") as running:
            running.wait(lambda decided=decided: len(behind.bodies("decisions")) >= decided)
            time.sleep(0.7)  # somewhere in the next micro-batch
    with Command(behind, tmp_path, "--max-events", "300") as running:
        running.wait(lambda: len(behind.bodies("decisions")) >= len(events))
        running.stop()
    assert essence(behind.read("decisions")) == essence(embedded(crash_worker.detector, events))
    assert digest_of_the_journal(behind, fence=3) == digest_of_one_process(events)


def test_rules_that_ask_lists_decide_what_one_process_does(spark, behind, tmp_path):
    events = spark_world.events(600, seed=8).filter(pl.col("type") == "transfer").drop("type", "arrived_at", "fraud")
    events = events.unique("transfer_id", keep="first", maintain_order=True)
    sent = [{**event, "at": event["at"].isoformat()} for event in events.to_dicts()]
    behind.put("transactions", sent)
    expected = embedded(spark_world.listed, sent)
    with Running(spark, behind, tmp_path, f"{spark_world.__file__}:listed", most_events=200) as running:
        running.wait(lambda: len(behind.bodies("decisions")) >= len(expected))
    assert essence(behind.read("decisions")) == essence(expected)
    assert {"APPROVE", "BLOCK"} <= {decision["decision"] for decision in expected}


@pytest.mark.parametrize("name", ["banking", "payments"])
def test_simulated_events_with_late_ones_give_identical_decisions(name, spark, behind, tmp_path):
    """Two detectors with their models; labels are not sent."""
    profile = importlib.import_module(f"penstock.detectors.{name}.profile").profile
    detector = load_detector(name)
    train(detector, simulate(profile, events=20_000, seed=1, fraud_rate=0.03), save_to=tmp_path / "models")
    frame = simulate(profile, events=EVENTS, seed=3, fraud_rate=0.02, late_share=0.02)
    events = list(submitted(profile, frame.drop(detector.label.field)))
    behind.put("transactions", events)
    with Running(spark, behind, tmp_path / "state", name, str(tmp_path / "models")) as running:
        expected = embedded(detector, events, models=tmp_path / "models")
        running.wait(lambda: len(behind.bodies("decisions")) >= len(expected), 1_800)
    assert len(expected) == EVENTS
    assert essence(behind.read("decisions")) == essence(expected)
    assert len({decision["decision"] for decision in expected}) > 1
    assert all(decision["scores"] for decision in expected)
