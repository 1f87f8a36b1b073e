"""A detector behind a broker, as tests see it: messages in, committed messages out, workers as processes."""

import http.client
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from deploy.infra.server import free_port
from penstock.errors import BrokerError
from penstock.stream.port import Broker, Outlet
from penstock.wiring.streams import open_broker
from tests.waiting import wait_until


class Behind:
    """One detector's topics. `role` is a topic's role: transactions, labels, decisions, quarantine, ..."""

    def __init__(self, url: str, detector: str, shards: int | None = None) -> None:
        self.url = url
        self.broker: Broker = open_broker(url, detector)
        self.broker.create(shards)
        self._outlet = patient_outlet(self.broker, url)
        self._taps: dict[tuple[str, int], KafkaTap | RedisTap] = {}

    def put(self, role: str, bodies: Iterable[Any], *, trace: bytes = b"") -> None:
        """Send events, or bytes as they are, and return when the broker has them. trace: what they carry."""
        for body in bodies:
            data = body if isinstance(body, bytes) else msgspec.json.encode(body)
            wait_until(lambda data=data: self._taken(role, data, trace), _PATIENCE_S)
        assert self._outlet.flush(_PATIENCE_S) == 0

    def _taken(self, role: str, data: bytes, trace: bytes) -> bool:
        try:
            self._outlet.put(role, "", data, trace=trace)
        except BrokerError:
            self._outlet.flush(1)
            return False
        return True

    def bodies(self, role: str, shard: int = 0) -> list[bytes]:
        """Everything committed in a topic by now; of one shard where it has several."""
        if (role, shard) not in self._taps:
            self._taps[role, shard] = _TAPS[self.url.partition("://")[0]](self.url, self.broker.topics.named(role), shard)
        return self._taps[role, shard].all()

    def read(self, role: str, shard: int = 0) -> list[dict[str, Any]]:
        """The same as objects."""
        return [json.loads(body) for body in self.bodies(role, shard)]

    def close(self) -> None:
        for tap in self._taps.values():
            tap.close()
        self._outlet.close()
        self.broker.close()


def patient_outlet(broker: Any, url: str) -> Outlet:
    """One that gives nothing up while a test stops the server and starts it again, however long that takes here."""
    if url.startswith("kafka"):
        from penstock.adapters.kafka.outlet import KafkaOutlet

        return KafkaOutlet(broker.address, patience_s=_PATIENCE_S)
    from penstock.adapters.redis_stream.outlet import RedisOutlet

    return RedisOutlet(broker.address, broker.line, patience_s=_PATIENCE_S)


_PATIENCE_S = 300.0


class KafkaTap:
    """What is committed in one partition of a topic, from its beginning on."""

    def __init__(self, url: str, topic: str, partition: int) -> None:
        from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

        from penstock.adapters.kafka.address import KafkaAddress

        settings = KafkaAddress.of(url).client(
            group_id=uuid.uuid4().hex, isolation_level="read_committed", enable_auto_commit=False
        )
        self._consumer = Consumer(settings)
        self._partition = TopicPartition(topic, partition, OFFSET_BEGINNING)
        self._found: list[bytes] = []
        self._consumer.list_topics(timeout=60)
        self._consumer.assign([self._partition])

    def all(self) -> list[bytes]:
        """Everything by now."""
        first = self._consumer.poll(0.2)
        for message in [*([first] if first else []), *self._consumer.consume(100_000, 0)]:
            if message.error() is None:
                self._found.append(message.value())
        return self._found

    def close(self) -> None:
        self._consumer.close()


class RedisTap:
    """The same on Redis, where a topic is one stream."""

    def __init__(self, url: str, stream: str, _partition: int) -> None:
        import redis

        self._client = redis.Redis.from_url(url.partition("?")[0])
        self._stream, self._after = stream, b"-"
        self._found: list[bytes] = []

    def all(self) -> list[bytes]:
        """Everything by now."""
        for entry, fields in self._client.xrange(self._stream, min=self._after):
            self._found.append(fields[b"event"])
            self._after = b"(" + entry
        return self._found

    def close(self) -> None:
        self._client.close()


_TAPS: dict[str, Callable[[str, str, int], KafkaTap | RedisTap]] = {"kafka": KafkaTap, "redis": RedisTap}


def command_line(stops_within_s: float | None = None) -> str:
    """A program that is `penstock`, which gives up stopping so long after a second signal, rather than as early as usual."""
    patient = "" if stops_within_s is None else f"from penstock.cli import signals; signals.AT_ONCE_S = {stops_within_s}; "
    return f"{patient}from penstock.cli import main; main()"


class WorkerProcess:
    """`penstock worker` as a process of its own.

    stops_within_s: how long it may take to stop after one signal or several, where that is not what people get.
    """

    def __init__(
        self, detector: str, url: str, data: Path, *options: str, name: str = "w", stops_within_s: float | None = None
    ) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self._log = data.with_suffix(".log").open("ab")
        self.log = data.with_suffix(".log")
        self._port_file = data.with_suffix(".port")
        self._port_file.unlink(missing_ok=True)
        command = [
            sys.executable,
            "-c",
            command_line(stops_within_s),
            "worker",
            detector,
            "--stream",
            url,
            "--data",
            str(data),
            "--name",
            name,
        ]
        command += ["--metrics-port", "0", "--port-file", str(self._port_file), *options]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PENSTOCK_SNAPSHOT_EVERY_S": "1"}
        if stops_within_s is not None:
            environment["PENSTOCK_STOP_WITHIN_S"] = str(stops_within_s)
        self.process = subprocess.Popen(command, stdout=self._log, stderr=self._log, env=environment)

    def status(self) -> dict[str, Any] | None:
        """How its first shard stands; None while it does not answer."""
        shards = self._shards()
        return shards[0] if shards else None

    def _shards(self) -> list[dict[str, Any]]:
        """How all of them stand; none while it does not answer.

        Raises:
            AssertionError: it has ended by itself with an error: nobody need wait any longer.
        """
        ended = self.process.poll()
        assert ended is None or ended <= 0, f"the worker ended with {ended}: {self.log.read_text()[-4_000:]}"
        if not self._port_file.exists() or not self._port_file.read_text():
            return []
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port_file.read_text()}/health", timeout=2) as answer:
                return list(json.load(answer)["shards"])
        except (OSError, http.client.HTTPException):  # not yet, not in time, or cut off in the middle
            return []

    @property
    def port(self) -> int:
        """Where it answers about its health."""
        return int(self._port_file.read_text())

    @property
    def owns(self) -> bool:
        status = self.status()
        return status is not None and bool(status["owner"])

    @property
    def owners(self) -> int:
        """How many shards it owns."""
        return sum(shard["owner"] for shard in self._shards())

    @property
    def follows(self) -> bool:
        status = self.status()
        return status is not None and status["trouble"] is None

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Whatever state it is in; what it logged is shown where a test fails."""
        self.kill()
        self._log.close()
        print(self.log.read_text()[-4_000:])

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        return self.process.wait(120)


class ApiProcess:
    """`penstock serve --stream` as a process of its own."""

    def __init__(self, detector: str, url: str, data: Path, *options: str, log: Path, **settings: str) -> None:
        self.port = free_port()
        self._log = log.open("ab")
        program = "from penstock.cli import main; main()"
        command = [sys.executable, "-c", program, "serve", detector, "--stream", url, "--data", str(data)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **settings}
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port), *options], stdout=self._log, stderr=self._log, env=environment
        )

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of an answer; status 0 while nobody listens."""
        data = None if body is None else msgspec.json.encode(body)
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except (OSError, http.client.HTTPException):
            return 0, None

    @property
    def ready(self) -> bool:
        return self.ask("GET", "/ready")[0] == 200

    def end(self) -> None:
        """Ask it to end; twice is fine."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(120)
        self._log.close()


def essence(decisions: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What must be the same wherever a decision is made: all but times, and who measured them."""
    return [{key: value for key, value in decision.items() if key not in _OF_A_RUN} for decision in decisions]


def assert_same(found: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]]) -> None:
    """The same decisions in the same order; says where they first differ, and in what."""
    left, right = essence(found), essence(expected)
    for number, (one, other) in enumerate(zip(left, right, strict=False)):
        unlike = {name: (one.get(name), other.get(name)) for name in one | other if one.get(name) != other.get(name)}
        assert not unlike, f"decision {number} of {len(left)} differs: {unlike}"
    assert len(left) == len(right)


_OF_A_RUN = ("decided_at", "latency_ms")


def embedded(detector: Any, events: Sequence[Any], **options: Any) -> list[dict[str, Any]]:
    """What one process decides about the same events, one batch after the other."""
    from penstock import Engine

    with Engine(detector, **options) as engine:
        answers = []
        for start in range(0, len(events), 500):
            answers += engine.decide_json([msgspec.json.encode(event) for event in events[start : start + 500]])
        return [json.loads(answer) for answer in answers if isinstance(answer, bytes)]
