"""The Kafka topics of one detector, with their readers and writers."""

import time
from functools import cached_property
from typing import Any

from penstock.adapters.kafka.address import KafkaAddress
from penstock.errors import BrokerError, MissingExtra
from penstock.stream.port import INBOX

try:
    from confluent_kafka import KafkaException, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec  # type: ignore[attr-defined]  # exported in fact
except ImportError as error:
    raise MissingExtra("kafka", "a stream on Kafka") from error

from penstock.adapters.kafka.candidate import KafkaCandidate
from penstock.adapters.kafka.health import patiently
from penstock.adapters.kafka.journal import KafkaJournal
from penstock.adapters.kafka.outlet import KafkaOutlet

_ASK_S = 10.0
_AGAIN_S = 0.02
_LARGEST_ENTRY = str(32 << 20)
_SHARDED = ("transactions", "journal", "published")

_CONFIGS: dict[str, dict[str, str]] = {
    **{role: {"message.timestamp.type": "LogAppendTime"} for role in INBOX},
    "journal": {"retention.ms": "-1", "retention.bytes": "-1", "max.message.bytes": _LARGEST_ENTRY},
    "published": {"cleanup.policy": "compact"},
}
"""Arrival is when the broker took a message, not what a sender claims; the journal is the log, and is kept."""


def _led(topic: Any) -> bool:
    """Whether each partition of a topic has a leader."""
    return topic is not None and topic.error is None and all(each.leader >= 0 for each in topic.partitions.values())


class KafkaBroker:
    """`Broker` on Kafka.

    Args:
        url: see `KafkaAddress.of`.
        detector: whose topics these are: names the consumer group and the transactions.

    Raises:
        ConfigurationError: the URL cannot be used.
    """

    def __init__(self, url: str, detector: str) -> None:
        self.address = KafkaAddress.of(url)
        self.topics = self.address.topics
        self.group = f"penstock.{self.topics.journal}.{detector}"

    def create(self, shards: int | None = None) -> list[str]:
        """See `Broker.create`."""
        admin = AdminClient(self.address.client())
        there = self._listed(admin)
        names = self._names()
        wanted = [role for role, name in names.items() if name not in there]
        number = shards or len(there[self.topics.transactions].partitions) if self.topics.transactions in there else shards or 1
        fresh = [
            NewTopic(
                names[role],
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
        self._await(admin, [names[role] for role in wanted])
        return [names[role] for role in wanted]

    def _await(self, admin: Any, names: list[str]) -> None:
        """Wait until the brokers know these topics and who leads their partitions: the answer to `create` comes before."""
        until = time.monotonic() + _ASK_S
        while unknown := [name for name in names if not _led(self._listed(admin).get(name))]:
            if time.monotonic() > until:
                raise BrokerError(f"topic {unknown[0]!r} has no leader {_ASK_S:g} s after it was created: are all brokers up?")
            time.sleep(_AGAIN_S)

    def shards(self) -> int:
        """See `Broker.shards`."""
        there = self._listed(AdminClient(self.address.client()))
        names = self._names()
        found = {role: len(there[names[role]].partitions) for role in _SHARDED if names[role] in there}
        for role, number in found.items():
            if number != found.get("transactions", number):
                raise BrokerError(
                    f"topic {names['transactions']!r} has {found['transactions']} partitions and {names[role]!r} has {number}; "
                    "each shard has its own in both, so create them alike"
                )
        return found.get("transactions", 0)

    def _names(self) -> dict[str, str]:
        """The topics by their roles, with the one that only this broker needs."""
        return {role: self.topics.named(role) for role in self.topics.__struct_fields__} | {"published": self.address.published}

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

    def inbox_mark(self) -> str:
        """See `Broker.inbox_mark`."""
        first = TopicPartition(self.topics.transactions, 0)
        try:
            newest = {first: OffsetSpec.latest()}  # type: ignore[no-untyped-call]  # the client's
            return str(patiently(lambda: self._admin.list_offsets(newest)[first].result(_ASK_S).offset))
        except (KafkaException, TimeoutError) as error:
            raise BrokerError(f"Kafka at {self.address.servers} does not say where transactions end: {error}") from error

    @cached_property
    def _admin(self) -> AdminClient:
        """For questions that come often; it answers as long as it is held."""
        return AdminClient(self.address.client())

    def covers(self, place: str | None, mark: str) -> bool:
        """See `Broker.covers`."""
        return (-1 if place is None else int(place)) + 1 >= int(mark)

    def close(self) -> None:
        """Nothing is held."""
