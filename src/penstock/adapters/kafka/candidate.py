"""Leader election by a consumer group: a member assigned a partition of the inbox may own that shard.

The group's consumer reads nothing. An owner reads with a separate consumer, so the journal alone determines its position.
Assignment moves as little as possible when members come and go, so a standby that joins takes nothing from an owner that
lives.
"""

import contextlib
import threading
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from penstock.adapters.kafka.address import KafkaAddress
from penstock.adapters.kafka.health import Health
from penstock.adapters.kafka.inbox import KafkaInbox, Offsets

SESSION_S = 6.0
"""How long a member may be silent before its shards go to another: the least that brokers allow unless told otherwise."""

_LET_GO_S = 5.0


class KafkaCandidate:
    """`Candidate` on Kafka."""

    def __init__(self, address: KafkaAddress, group: str, name: str) -> None:
        self._address, self._group = address, group
        self._health = Health(address.servers)
        self._changed = threading.Condition()
        self._assigned: set[int] = set()
        self._owned: dict[int, KafkaInbox] = {}
        self._uncommitted: Offsets = {}
        self._telling = 0
        self._closing = threading.Event()
        self._consumer = Consumer(
            address.client(
                self._health,
                group_id=group,
                client_id=f"penstock-{name}",
                session_timeout_ms=int(SESSION_S * 1000),
                heartbeat_interval_ms=500,
                partition_assignment_strategy="cooperative-sticky",
                enable_auto_commit=False,
                auto_offset_reset="earliest",
            )
            | {"on_commit": self._on_commit}
        )
        self._consumer.subscribe(
            [address.topics.transactions], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )
        self._thread = threading.Thread(target=self._attend, name="penstock-election", daemon=True)
        self._thread.start()

    def _attend(self) -> None:
        """Rebalances happen within polls; nothing is ever read here."""
        while not self._closing.is_set():
            self._consumer.poll(0.1)
            self._health.ask(self._consumer)
            self._tell_group()

    def _on_assign(self, consumer: Any, partitions: list[Any]) -> None:
        consumer.incremental_assign(partitions)
        consumer.pause(partitions)
        with self._changed:
            self._assigned |= {partition.partition for partition in partitions}

    def _on_revoke(self, consumer: Any, partitions: list[Any]) -> None:
        """On revocation the owners of these shards commit their decisions and stop, before another may begin."""
        shards = {partition.partition for partition in partitions}
        with self._changed:
            self._assigned -= shards
            for shard in shards & set(self._owned):
                self._owned[shard].lose()
            self._changed.wait_for(lambda: not shards & set(self._owned), _LET_GO_S)
        with contextlib.suppress(KafkaException):
            consumer.incremental_unassign(partitions)

    def elected(self, shard: int) -> bool:
        """See `Candidate.elected`."""
        return shard in self._assigned

    def claim(self, shard: int) -> KafkaInbox:
        """See `Candidate.claim`."""
        inbox = KafkaInbox(
            self._address, self._group, shard, health=self._health, commit_group=self._commit_group, on_close=self._release
        )
        with self._changed:
            self._owned[shard] = inbox
        return inbox

    def _commit_group(self, offsets: Offsets, wait_s: float) -> None:
        """Only a member of a group may commit for it; commits of a member of an earlier election are refused."""
        with self._changed:
            self._uncommitted |= offsets
            if wait_s:
                self._changed.wait_for(lambda: not (self._uncommitted or self._telling), wait_s)

    def _tell_group(self) -> None:
        """Commit pending offsets; between two polls, since a client takes one call at a time."""
        with self._changed:
            offsets, self._uncommitted = self._uncommitted, {}
            self._telling += bool(offsets)
        if offsets:
            try:
                self._consumer.commit(offsets=[TopicPartition(*where, offset) for where, offset in offsets.items()])
            except KafkaException as error:  # what comes next tells it again
                self._on_commit(error, None)

    def _on_commit(self, _error: Any, _partitions: Any) -> None:
        with self._changed:
            self._telling -= 1
            self._changed.notify_all()

    def _release(self, shard: int, fenced: bool) -> None:
        """The group knows nothing of claims: who was fenced is not elected again by an assignment that it had before."""
        with self._changed:
            self._owned.pop(shard, None)
            if fenced:
                self._assigned.discard(shard)
            self._changed.notify_all()

    @property
    def trouble(self) -> str | None:
        """See `Candidate.trouble`."""
        return self._health.trouble

    def close(self) -> None:
        """Leave the group at once, so that another need not wait for the silence."""
        if not self._closing.is_set():
            self._closing.set()
            self._thread.join()
            self._consumer.close()
