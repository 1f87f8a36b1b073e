"""Kafka: one node in KRaft mode, broker and controller in one."""

import socket
import struct
import subprocess
import uuid
from base64 import urlsafe_b64encode
from typing import Any, ClassVar

from deploy.infra.jars import class_path, java_missing
from deploy.infra.server import Server, ServerFailed

LARGEST = 17 << 20
"""Bytes of the largest message: 16 MiB and what goes around it."""


class Kafka(Server):
    """A broker that is its own controller. Topics are created on purpose, not by mentioning them."""

    name: ClassVar[str] = "kafka"
    usual_port: ClassVar[int] = 9092
    extra_ports: ClassVar[int] = 1  # the controller's

    @classmethod
    def missing(cls) -> str | None:
        """Java, or Maven for the jars."""
        return java_missing("kafka")

    @classmethod
    def fetch(cls) -> None:
        """The jars."""
        class_path("kafka")

    @property
    def url(self) -> str:
        """kafka://HOST:PORT."""
        return f"kafka://{self.address}"

    @property
    def address(self) -> str:
        """HOST:PORT, as Kafka's own clients take it."""
        return f"127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Write the configuration; give the folder its cluster id where it has none."""
        config = self.folder / "server.properties"
        config.write_text("".join(f"{key}={value}\n" for key, value in (self._configuration() | self.settings).items()))
        if not (self.folder / "data" / "meta.properties").exists():
            cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
            tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster, "-c", str(config)]
            done = subprocess.run(self._java("-XX:TieredStopAtLevel=1", *tool), capture_output=True, text=True, check=False)
            if done.returncode:
                raise ServerFailed(f"kafka's folder {self.folder} could not be formatted:\n{done.stdout}{done.stderr}")

    def command(self) -> list[str]:
        """The broker, with a small heap; it logs warnings."""
        return self._java("-Xms256m", "-Xmx512m", "kafka.Kafka", str(self.folder / "server.properties"))

    def answers(self) -> bool:
        """Whether its metadata name a broker that takes requests."""
        return brokers(self.port) > 0

    def _java(self, *arguments: str) -> list[str]:
        quiet = ["-Dorg.apache.logging.log4j.level=WARN", "-Djava.awt.headless=true"]
        return ["java", "-cp", class_path("kafka"), *quiet, *arguments]

    def _configuration(self) -> dict[str, Any]:
        broker, controller = self.ports
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{broker}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self.folder / "data",
            "auto.create.topics.enable": "false",
            "message.max.bytes": LARGEST,
            "replica.fetch.max.bytes": LARGEST,
            # one broker: nothing to replicate to, nobody to wait for
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            # after a kill the broker may register again only when its last session has run out
            "broker.heartbeat.interval.ms": 500,
            "broker.session.timeout.ms": 3000,
        }


def brokers(port: int) -> int:
    """How many brokers a Metadata request (version 4, no topics) is told of."""
    request = struct.pack(">hhih", 3, 4, 1, -1) + struct.pack(">i?", 0, False)
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        answer = connection.makefile("rb").read(16)  # length, correlation, throttle, number of brokers
    return int(struct.unpack(">iiii", answer)[3]) if len(answer) == 16 else 0
