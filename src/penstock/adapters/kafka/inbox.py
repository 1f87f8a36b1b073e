"""An owner's access to one shard: reads its messages, and commits units to the journal.

A unit is committed when its entry is in the journal (`journal_writer`); its messages are published afterwards (`publisher`).
The inbox position is part of each entry. The consumer group's offset is committed now and then, for tools that
show the lag.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicPartition

from penstock.adapters.kafka.address import KafkaAddress
from penstock.adapters.kafka.health import Health, patiently, refused
from penstock.adapters.kafka.journal import UNKNOWN
from penstock.adapters.kafka.journal_writer import JournalWriter
from penstock.adapters.kafka.publisher import KafkaPublisher
from penstock.clock import system_clock
from penstock.errors import BrokerError, Fenced
from penstock.stream.port import INBOX, Derive, Message, Unit, nothing
from penstock.stream.trace_context import TRACEPARENT

LARGEST_POLL = 8 << 20
"""Maximum bytes of messages that one poll returns."""

_log = logging.getLogger(__name__)

Offsets = dict[tuple[str, int], int]
"""The next message to read, by topic and partition."""

_ASK_S = 10.0
_END_S = 1.0
_PUBLISH_S = 0.5
"""How long a released shard waits for its last decisions to be published; its successor publishes the rest."""


class KafkaInbox:
    """`Inbox` on Kafka. The constructor claims the shard.

    Args:
        address: of the cluster and its topics.
        group: of the candidates.
        shard: the shard to claim.
        health: of the candidate, whose thread listens also while this one waits for a commit.
        tell_group: commits offsets as a member of the group, and waits for it at most so many seconds.
        on_close: called when the shard is released, with whether another owner has claimed it, or is about to: it fences the
            publisher before it claims.

    Raises:
        BrokerError: Kafka does not answer.
    """

    def __init__(
        self,
        address: KafkaAddress,
        group: str,
        shard: int,
        *,
        health: Health,
        commit_group: Callable[[Offsets, float], None],
        on_close: Callable[[int, bool], None],
    ) -> None:
        self.shard = shard
        self._topics, self._commit_group, self._on_close = address.topics, commit_group, on_close
        self._health = health
        self._lost = self._closed = False
        self._roles = {self._topics.named(role): role for role in INBOX}
        self._waiting: list[Any] = []
        self._transactions = TopicPartition(self._topics.transactions, shard)
        self._given_out = OFFSET_BEGINNING
        self._seen = False  # whether anything was read
        self._paused = False
        self._assigned: list[TopicPartition] = []
        self._lag, self._looked = 0, 0.0
        self._standing: Offsets = {}
        self._reported: Offsets = {}
        self._journal = JournalWriter(address, shard, health, lambda: self._lost)  # connects while the publisher claims
        self._consumer = Consumer(
            address.client(
                self._health,
                group_id=group,
                isolation_level="read_committed",
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                enable_partition_eof=True,
                fetch_wait_max_ms=20,
                fetch_max_bytes=64 << 20,
                queued_min_messages=20_000,
                max_partition_fetch_bytes=16 << 20,
            )
        )
        self._publisher = KafkaPublisher(address, group, shard, health)
        self._journal.claim()

    # ------------------------------------------------------------ reading

    def begin(self, places: dict[str, str], derive: Derive = nothing) -> None:
        """See `Inbox.begin`."""
        self._publisher.begin(self._journal.claimed, derive)
        partitions = [TopicPartition(name, self.shard if role == "transactions" else 0) for name, role in self._roles.items()]
        try:
            known = patiently(lambda: self._committed(partitions))
        except KafkaException as error:
            raise refused(f"how far shard {self.shard} has been read cannot be had", error) from error
        for partition in known:
            place = places.get(self._roles[partition.topic])
            behind = OFFSET_INVALID if place is None else int(place) + 1
            partition.offset = max(partition.offset, behind)  # OFFSET_INVALID is less than any offset
        self._assigned = known
        self._standing = {(partition.topic, partition.partition): max(partition.offset, 0) for partition in known}
        self._consumer.assign(known)

    def _committed(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """The offset of the group in each partition; an unknown one is not mistaken for an unread partition."""
        known: list[TopicPartition] = self._consumer.committed(partitions, timeout=_ASK_S)
        for partition in known:
            if partition.error is not None:
                raise KafkaException(partition.error)
        return known

    def lose(self) -> None:
        """Another process has been elected: read no more."""
        self._lost = True

    def poll(self, most: int, timeout_s: float, *, transactions_only: bool = False) -> list[Message]:
        """See `Inbox.poll`."""
        if self._lost:
            raise Fenced(f"shard {self.shard} goes to another worker")
        if transactions_only != self._paused:
            others = [each for each in self._assigned if each.topic != self._topics.transactions]
            (self._consumer.pause if transactions_only else self._consumer.resume)(others)
            self._paused = transactions_only
        if not self._waiting:
            self._waiting = self._consumer.consume(most, 0)
        if not self._waiting:
            first = self._consumer.poll(timeout_s)
            self._waiting = [] if first is None else [first, *self._consumer.consume(most - 1, 0)]
        found: list[Message] = []
        size = taken = 0
        for message in self._waiting:
            if found and size + len(message.value() or b"") > LARGEST_POLL:
                break
            taken += 1
            error = message.error()
            if error is None:
                found.append(self._message(message))
                size += len(found[-1].body)
            elif error.code() != KafkaError._PARTITION_EOF:
                self._complain(error)
                continue
            self._seen = True
            if message.topic() == self._topics.transactions:
                self._given_out = (message.offset() or 0) + (error is None)
        self._waiting = self._waiting[taken:]
        if found:
            self._health.answered()
        now = time.monotonic()
        if now - self._looked >= 1.0:
            self._looked = now
            self._measure()
            self._report()
        return found

    def caught_up(self) -> bool:
        """See `Inbox.caught_up`.

        The client fetches each partition separately, so this asks the broker for the present end of the transactions. The last
        entry may be the mark of a sender's transaction, which is never returned, but the client reports when it reached the
        end.
        """
        try:
            end = self._consumer.get_watermark_offsets(self._transactions, timeout=_END_S)
        except KafkaException:
            return False
        return end is not None and self._given_out >= end[1]

    def _complain(self, error: Any) -> None:
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            if not self._seen:
                raise BrokerError(f"{error.str()}; create the topics: penstock topics create")
            _log.warning(UNKNOWN, error.str())
        self._health(error)

    def _message(self, message: Any) -> Message:
        _, stamp_ms = message.timestamp()
        arrived_us = stamp_ms * 1000 if stamp_ms > 0 else system_clock()
        role, place = self._roles[message.topic()], str(message.offset())
        headers = message.headers()
        trace = _trace(headers) if headers else b""
        return Message(role, message.partition(), place, arrived_us, message.value() or b"", trace)

    def lag(self) -> int:
        """See `Inbox.lag`."""
        return self._lag

    def _measure(self) -> None:
        """Measure the lag, in the polling thread: the client answers other threads only between two polls."""
        waiting = len(self._waiting)
        for partition in self._assigned:
            known = self._consumer.get_watermark_offsets(partition, cached=True)
            here = self._standing[partition.topic, partition.partition]
            waiting += max(0, known[1] - here) if known is not None else 0
        self._lag = waiting

    def _report(self, wait_s: float = 0.0) -> None:
        """Tell the consumer group how far the inbox has been read and committed."""
        standing = dict(self._standing)
        if not self._lost and standing != self._reported:
            self._commit_group(standing, wait_s)
            self._reported = standing

    # ------------------------------------------------------------ committing

    def commit(self, unit: Unit) -> str | None:
        """See `Inbox.commit`."""
        place = None
        if unit.entry or self._health.trouble is None or self._health.reaches(self._consumer):
            place = self._journal.append(unit.entry)
            self._publisher.put(place, unit.out)
        last = {(message.role, message.shard): message.place for message in unit.read}
        self._standing |= {(self._topics.named(role), shard): int(place) + 1 for (role, shard), place in last.items()}
        return place if unit.entry else None

    @property
    def trouble(self) -> str | None:
        """See `Inbox.trouble`."""
        return self._health.trouble

    def close(self) -> None:
        """Close."""
        if not self._closed:
            self._closed = True
            if not (self._lost or self._publisher.fenced):
                self._journal.release()
            self._publisher.close(_PUBLISH_S)
            self._report(1.0)
            self._consumer.close()
            self._on_close(self.shard, self._journal.fenced or self._publisher.fenced)


def _trace(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    return next((value for name, value in headers if name == TRACEPARENT and value), b"")
