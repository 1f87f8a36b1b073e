"""The Kafka topics of one detector, with their readers and writers."""

from typing import Any

from penstock.adapters.kafka.address import Address
from penstock.errors import BrokerError, MissingExtra
from penstock.stream.port import INBOX

try:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # exported in fact
except ImportError as error:
    raise MissingExtra("kafka", "a stream on Kafka") from error

from penstock.adapters.kafka.candidate import KafkaCandidate
from penstock.adapters.kafka.journal import KafkaJournal
from penstock.adapters.kafka.outlet import KafkaOutlet

_ASK_S = 10.0
_LARGEST_ENTRY = str(32 << 20)
_SHARDED = ("transactions", "journal")

_CONFIGS: dict[str, dict[str, str]] = {
    **{role: {"message.timestamp.type": "LogAppendTime"} for role in INBOX},
    "journal": {"retention.ms": "-1", "retention.bytes": "-1", "max.message.bytes": _LARGEST_ENTRY},
}
"""Arrival is when the broker took a message, not what a sender claims; the journal is the log, and is kept."""


class KafkaBroker:
    """`Broker` on Kafka.

    Args:
        url: see `Address.of`.
        detector: whose topics these are: names the consumer group and the transactions.

    Raises:
        ConfigurationError: the URL cannot be used.
    """

    def __init__(self, url: str, detector: str) -> None:
        self.address = Address.of(url)
        self.topics = self.address.topics
        self.group = f"penstock.{self.topics.journal}.{detector}"

    def create(self, shards: int | None = None) -> list[str]:
        """See `Broker.create`."""
        admin = AdminClient(self.address.client())
        there = self._listed(admin)
        wanted = [role for role in self.topics.__struct_fields__ if self.topics.named(role) not in there]
        number = shards or len(there[self.topics.transactions].partitions) if self.topics.transactions in there else shards or 1
        fresh = [
            NewTopic(
                self.topics.named(role),
                num_partitions=number if role in _SHARDED else 1,
                replication_factor=-1,
                config=_CONFIGS.get(role, {}),
            )
            for role in wanted
        ]
        for name, made in admin.create_topics(fresh).items() if fresh else ():
            try:
                made.result(_ASK_S)
            except KafkaException as error:
                if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                    raise BrokerError(f"topic {name!r} cannot be created: {error.args[0].str()}") from error
        return [self.topics.named(role) for role in wanted]

    def shards(self) -> int:
        """See `Broker.shards`."""
        there = self._listed(AdminClient(self.address.client()))
        found = {role: len(there[name].partitions) for role in _SHARDED if (name := self.topics.named(role)) in there}
        if len(set(found.values())) > 1:
            raise BrokerError(
                f"topic {self.topics.transactions!r} has {found['transactions']} partitions and its journal "
                f"{self.topics.journal!r} has {found['journal']}; each shard has a journal of its own, so create them alike"
            )
        return found.get("transactions", 0)

    def _listed(self, admin: Any) -> dict[str, Any]:
        try:
            return dict(admin.list_topics(timeout=_ASK_S).topics)
        except KafkaException as error:
            raise BrokerError(f"Kafka at {self.address.servers} does not answer: {error.args[0].str()}") from error

    def candidate(self, name: str) -> KafkaCandidate:
        """See `Broker.candidate`."""
        return KafkaCandidate(self.address, self.group, name)

    def journal(self, shard: int, after: str | None) -> KafkaJournal:
        """See `Broker.journal`."""
        return KafkaJournal(self.address, shard, after)

    def outlet(self) -> KafkaOutlet:
        """See `Broker.outlet`."""
        return KafkaOutlet(self.address)

    def close(self) -> None:
        """Nothing is held."""
