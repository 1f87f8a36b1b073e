"""An owner's access to one shard: reads its messages, and commits units as Kafka transactions.

The transactional ids belong to the shard. Claiming them raises their epochs: from then on Kafka refuses messages of an
earlier owner, and rolls back its open transaction. The inbox position is part of each journal entry, hence of the same
transaction. The consumer group's offset is committed afterwards, for tools that show the lag: within every transaction it
would cost two more round trips, and a client of librdkafka up to 2.16 can wait for the group's coordinator for ever after
an outage, whatever its timeout (librdkafka's issues 5456 and 5511).
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, OFFSET_INVALID, Consumer, KafkaError, KafkaException, Producer, TopicPartition

from penstock.adapters.kafka.address import Address
from penstock.adapters.kafka.health import Health
from penstock.clock import system_clock
from penstock.errors import BrokerError, Fenced
from penstock.stream.port import INBOX, Message, Unit
from penstock.stream.trace_context import TRACEPARENT

LARGEST_POLL = 8 << 20
"""Bytes of messages that are given out at once."""

_IN_TURN = 2
"""Transactional ids that take turns. Right after a commit the coordinator is still writing its markers and refuses the next
transaction of the same id, which the client then asks for again after 20 ms. One of another id need not wait; it is committed
only after the one before it, so the journal keeps its order."""

Offsets = dict[tuple[str, int], int]
"""The next message to read, by topic and partition."""

_ASK_S = 10.0
_CLAIM_S = 30.0
_END_S = 1.0
_FENCED = {
    KafkaError._FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.PRODUCER_FENCED,
    KafkaError.TRANSACTION_COORDINATOR_FENCED,
    KafkaError.INVALID_PRODUCER_ID_MAPPING,
}


class KafkaInbox:
    """`Inbox` on Kafka. The constructor claims the shard.

    Args:
        address: of the cluster and its topics.
        group: of the candidates.
        shard: the shard to claim.
        health: of the candidate, whose thread listens also while this one waits for a commit.
        tell_group: commits offsets as a member of the group, and waits for it at most so many seconds.
        on_close: called when the shard is released.

    Raises:
        BrokerError: Kafka does not answer.
    """

    def __init__(
        self,
        address: Address,
        group: str,
        shard: int,
        *,
        health: Health,
        tell_group: Callable[[Offsets, float], None],
        on_close: Callable[[int], None],
    ) -> None:
        self.shard = shard
        self._topics, self._tell_group, self._on_close = address.topics, tell_group, on_close
        self._health = health
        self._lost = self._closed = False
        self._roles = {self._topics.named(role): role for role in INBOX}
        self._waiting: list[Any] = []
        self._transactions = TopicPartition(self._topics.transactions, shard)
        self._given_out = OFFSET_BEGINNING
        self._paused = False
        self._assigned: list[TopicPartition] = []
        self._place: str | None = None
        self._lag, self._looked = 0, 0.0
        self._member: Any = None
        self._standing: Offsets = {}
        self._told: Offsets = {}
        self._producers = [self._claim(address, f"{group}.{shard}.{number}") for number in range(_IN_TURN)]
        self._turn = 0
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

    def _claim(self, address: Address, transactional_id: str) -> Producer:
        """Create the transactional producer, which fences the previous one with this id."""
        producer = Producer(
            address.client(
                self._health,
                transactional_id=transactional_id,
                compression_type="lz4",
                linger_ms=0,
                message_max_bytes=32 << 20,
                queue_buffering_max_messages=1_000_000,
                retry_backoff_ms=2,  # where the coordinator says "again", waiting 100 ms would be the pace of units
            )
        )
        try:
            producer.init_transactions(_CLAIM_S)
        except KafkaException as error:
            raise BrokerError(f"shard {self.shard} cannot be claimed: {error.args[0].str()}") from error
        return producer

    # ------------------------------------------------------------ reading

    def begin(self, places: dict[str, str]) -> None:
        """See `Inbox.begin`."""
        partitions = [TopicPartition(name, self.shard if role == "transactions" else 0) for name, role in self._roles.items()]
        try:
            known = self._consumer.committed(partitions, timeout=_ASK_S)
        except KafkaException as error:
            raise BrokerError(f"how far shard {self.shard} has been read cannot be had: {error.args[0].str()}") from error
        for partition in known:
            place = places.get(self._roles[partition.topic])
            behind = OFFSET_INVALID if place is None else int(place) + 1
            partition.offset = max(partition.offset, behind)  # OFFSET_INVALID is less than any offset
        self._consumer.list_topics(timeout=_ASK_S)
        self._member = self._consumer.consumer_group_metadata()  # of no generation: the transaction's epoch is the fence
        self._assigned = known
        self._standing = {(partition.topic, partition.partition): max(partition.offset, 0) for partition in known}
        self._consumer.assign(known)

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
            if message.topic() == self._topics.transactions:
                self._given_out = (message.offset() or 0) + (error is None)
        self._waiting = self._waiting[taken:]
        if found:
            self._health.answered()
        now = time.monotonic()
        if now - self._looked >= 1.0:
            self._looked = now
            self._measure()
            self._tell()
        return found

    def caught_up(self) -> bool:
        """See `Inbox.caught_up`.

        Each partition is fetched for itself, so the broker is asked where the transactions end now. What stands there may be
        the mark of a sender's transaction, which is never given out, but the client says when it has come to the end.
        """
        try:
            end = self._consumer.get_watermark_offsets(self._transactions, timeout=_END_S)
        except KafkaException:
            return False
        return end is not None and self._given_out >= end[1]

    def _complain(self, error: Any) -> None:
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise BrokerError(f"{error.str()}; create the topics: penstock topics create")
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
        """Measure the lag, in the polling thread: asked by another one, the client would answer only between two polls."""
        waiting = len(self._waiting)
        for partition in self._assigned:
            known = self._consumer.get_watermark_offsets(partition, cached=True)
            here = self._standing[partition.topic, partition.partition]
            waiting += max(0, known[1] - here) if known is not None else 0
        self._lag = waiting

    def _tell(self, wait_s: float = 0.0) -> None:
        """Tell the consumer group how far the inbox has been read and committed."""
        standing = dict(self._standing)
        if not self._lost and standing != self._told:
            self._tell_group(standing, wait_s)
            self._told = standing

    # ------------------------------------------------------------ committing

    def commit(self, unit: Unit) -> str | None:
        """See `Inbox.commit`."""
        while True:
            try:
                if unit.entry or unit.out:
                    self._transact(unit)
                elif self._health.reaches(self._consumer):
                    self._confirm()
            except KafkaException as error:
                self._recover(error.args[0])
            else:
                last = {(message.role, message.shard): message.place for message in unit.read}
                self._standing |= {(self._topics.named(role), shard): int(place) + 1 for (role, shard), place in last.items()}
                self._turn = (self._turn + 1) % _IN_TURN
                return self._place if unit.entry else None

    def _transact(self, unit: Unit) -> None:
        producer = self._producers[self._turn]
        producer.begin_transaction()
        if unit.entry:
            self._produce(self._topics.journal, unit.entry, None, partition=self.shard, on_delivery=self._noted)
        names = {role: self._topics.named(role) for role in {out.role for out in unit.out}}
        for role, key, body in unit.out:
            self._produce(names[role], body, key.encode())
        self._insist(producer.commit_transaction)
        self._health.answered()

    def _confirm(self) -> None:
        """Commit a transaction that only repeats the position, which Kafka refuses to an earlier owner."""
        producer = self._producers[self._turn]
        offsets = [TopicPartition(*partition, offset) for partition, offset in self._standing.items()]
        producer.begin_transaction()
        producer.send_offsets_to_transaction(offsets, self._member, _ASK_S)
        self._insist(producer.commit_transaction)

    def _produce(self, topic: str, body: bytes, key: bytes | None, **more: Any) -> None:
        while True:
            try:
                return self._producers[self._turn].produce(topic, body, key, **more)
            except BufferError:
                self._producers[self._turn].poll(0.1)

    def _noted(self, error: Any, message: Any) -> None:
        if error is None:
            self._place = str(message.offset())

    def _insist(self, ask: Callable[[], None]) -> None:
        """Ask again while the answer is only late."""
        while True:
            try:
                return ask()
            except KafkaException as error:
                if not error.args[0].retriable() or error.args[0].txn_requires_abort():
                    raise

    def _recover(self, error: Any) -> None:
        """Roll back, so that the unit can be sent again; a broker that does not answer is waited for.

        Raises:
            Fenced: another owner has claimed.
        """
        if error.code() in _FENCED or error.fatal():
            raise Fenced(f"shard {self.shard} has another owner by now: {error.str()}")
        self._health(error)
        if self._lost:
            raise Fenced(f"shard {self.shard} goes to another worker")
        try:
            self._insist(self._producers[self._turn].abort_transaction)
        except KafkaException as failed:
            if failed.args[0].fatal() or failed.args[0].code() in _FENCED:
                raise Fenced(f"shard {self.shard} has another owner by now: {failed.args[0].str()}") from failed
        time.sleep(0.2)

    @property
    def trouble(self) -> str | None:
        """See `Inbox.trouble`."""
        return self._health.trouble

    def close(self) -> None:
        """Let go."""
        if not self._closed:
            self._closed = True
            self._tell(1.0)
            self._consumer.close()
            self._on_close(self.shard)


def _trace(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    return next((value for name, value in headers if name == TRACEPARENT and value), b"")
