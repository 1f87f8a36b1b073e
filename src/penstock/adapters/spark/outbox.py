"""Exactly-once sending of the results of a micro-batch to Kafka.

Spark runs a micro-batch again where it cannot know that it ended. All of its messages go out in one Kafka transaction, and
with them, as the offset of a consumer group, the number of the next micro-batch. A repeated micro-batch finds its number
taken and sends nothing.
"""

import time
from collections.abc import Iterable
from typing import Any

import msgspec

from penstock.decoding import prepared
from penstock.errors import BrokerError, ConfigurationError, Fenced, MissingExtra
from penstock.stream.port import Outgoing, Topics

_ASK_S = 30.0
_SETTLING = {"NOT_COORDINATOR", "COORDINATOR_NOT_AVAILABLE", "COORDINATOR_LOAD_IN_PROGRESS"}


class Noted(msgspec.Struct):
    """The metadata committed with the number of a micro-batch: the journal's position and its writer.

    position: of the next record. seq: of the next event. fence: the number of this start.
    """

    position: int = 0
    seq: int = 0
    fence: int = 0


class SparkOutbox:
    """A transactional producer. Opening one fences an earlier process on the same checkpoint.

    Args:
        settings: of librdkafka. topics: where to.
        name: of the stream, the same for every start on one checkpoint.

    Raises:
        MissingExtra: the Kafka client is not installed.
        ConfigurationError: the journal belongs to another owner.
        BrokerError: Kafka does not answer.
    """

    def __init__(self, settings: dict[str, Any], topics: Topics, name: str) -> None:
        try:
            from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
        except ImportError as error:
            raise MissingExtra("kafka", "a stream's way out") from error
        self._topics, self._error, self._partition = topics, KafkaException, TopicPartition
        self._mark = TopicPartition(topics.decisions, 0)
        self._consumer = Consumer({**settings, "group.id": name, "enable.auto.commit": False})
        self._producer = Producer(
            {
                **settings,
                "transactional.id": name,
                "compression.type": "lz4",
                "linger.ms": 5,
                "message.max.bytes": 32 << 20,
                "queue.buffering.max.messages": 1_000_000,
                "transaction.timeout.ms": 120_000,
            }
        )
        try:
            self._producer.init_transactions(_ASK_S)
            self._consumer.list_topics(timeout=_ASK_S)
            self._member = self._consumer.consumer_group_metadata()
            known = self._known()
        except KafkaException as error:
            raise BrokerError(f"Kafka does not take part: {error.args[0].str()}") from error
        self.next_batch = max(0, known.offset)
        self.noted = msgspec.json.decode(known.metadata, type=prepared(Noted)) if known.metadata else Noted()
        if not self.noted.fence:
            self._check_journal(settings)

    def _check_journal(self, settings: dict[str, Any]) -> None:
        """Refuse a journal with committed entries for a new checkpoint; uncommitted ones are allowed."""
        from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError

        own = {"group.id": self._mark.topic, "enable.auto.commit": False, "enable.partition.eof": True}
        reading = Consumer({**settings, **own, "isolation.level": "read_committed"})
        reading.assign([self._partition(self._topics.journal, 0, OFFSET_BEGINNING)])
        try:
            first = reading.poll(_ASK_S)
        finally:
            reading.close()
        error = None if first is None else first.error()
        if first is None or (error is not None and error.code() != KafkaError._PARTITION_EOF):
            cause = "no answer" if error is None else error.str()
            raise BrokerError(f"{self._topics.journal}: {cause}; create the topics: penstock topics create")
        if error is None:
            raise ConfigurationError(
                f"the topic {self._topics.journal!r} holds the journal of a worker, or of another checkpoint; give this stream "
                "separate topics: kafka://HOST:PORT/PREFIX, or ?journal=TOPIC&decisions=TOPIC&quarantine=TOPIC to share the "
                "transactions"
            )

    def _known(self) -> Any:
        """The last committed metadata; a broker that has just started first finds its group coordinator."""
        until = time.monotonic() + _ASK_S
        while True:
            try:
                return self._consumer.committed([self._mark], timeout=_ASK_S)[0]
            except self._error as error:
                if error.args[0].name() not in _SETTLING or time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def send(self, batch: int, messages: Iterable[Outgoing], noted: Noted) -> bool:
        """Send all messages of a micro-batch with this metadata; False if that was done before.

        Raises:
            Fenced: another process runs on the same checkpoint.
            BrokerError: Kafka does not take it; Spark runs the micro-batch again.
        """
        if batch < self.next_batch:
            return False
        try:
            self._producer.begin_transaction()
            for message in messages:
                self._produce(message)
            mark = self._partition(self._mark.topic, 0, batch + 1, metadata=msgspec.json.encode(noted).decode())
            self._producer.send_offsets_to_transaction([mark], self._member, _ASK_S)
            self._producer.commit_transaction(_ASK_S)
        except self._error as error:
            raise self._explained(error) from error
        self.next_batch, self.noted = batch + 1, noted
        return True

    def _produce(self, message: Outgoing) -> None:
        topic, key = self._topics.named(message.role), message.key.encode() or None
        only: Any = {"partition": 0} if message.role == "journal" else {}  # a journal is one sequence
        while True:
            try:
                self._producer.produce(topic, message.body, key, **only)
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def _explained(self, error: Any) -> BrokerError | Fenced:
        cause = error.args[0]
        if cause.fatal():
            return Fenced(f"another process runs on this checkpoint: {cause.str()}")
        if cause.txn_requires_abort():
            self._producer.abort_transaction(_ASK_S)
        return BrokerError(f"Kafka did not take a micro-batch: {cause.str()}")

    def close(self) -> None:
        """Close the producer."""
        self._consumer.close()
        self._producer.flush(1)
