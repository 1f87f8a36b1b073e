"""The journal on Kafka: one partition, read up to its last committed entry."""

import uuid
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from penstock.adapters.kafka.address import Address
from penstock.adapters.kafka.health import Health
from penstock.errors import BrokerError

_ASK_S = 5.0
_MOST = 64
_EOF = KafkaError._PARTITION_EOF
_GONE = KafkaError._AUTO_OFFSET_RESET


class KafkaJournal:
    """`Journal` on Kafka."""

    def __init__(self, address: Address, shard: int, after: str | None) -> None:
        self._health = Health(address.servers)
        self._topic, self._shard = address.topics.journal, shard
        self._consumer = Consumer(
            address.client(
                self._health,
                group_id=f"penstock-follower-{uuid.uuid4().hex}",  # required, and used for nothing
                isolation_level="read_committed",
                enable_auto_commit=False,
                enable_partition_eof=True,
                auto_offset_reset="error" if after is not None else "earliest",
                fetch_wait_max_ms=100,
            )
        )
        offset = OFFSET_BEGINNING if after is None else int(after) + 1
        self._reached = 0 if after is None else offset
        self._consumer.assign([TopicPartition(self._topic, shard, offset)])

    def poll(self, timeout_s: float) -> list[tuple[str, bytes]]:
        """See `Journal.poll`."""
        found = self._consumer.consume(_MOST, 0)
        if not found:
            first = self._consumer.poll(timeout_s)
            found = [] if first is None else [first]
        self._health.ask(self._consumer)
        entries = []
        message: Any
        for message in found:
            error = message.error()
            if error is None:
                entries.append((str(message.offset()), message.value()))
                self._reached = message.offset() + 1
                self._health.answered()
            elif error.code() == _EOF:
                self._reached = max(self._reached, message.offset())
                self._health.answered()
            elif error.code() == _GONE:
                raise BrokerError(
                    f"the journal {self._topic!r} no longer holds what follows {self._reached - 1}; copy the data folder of a "
                    "worker that has it, and keep the journal for longer (retention.ms=-1)"
                )
            elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise BrokerError(f"there is no topic {self._topic!r}; create it: penstock topics create")
        return entries

    def mark(self) -> str:
        """See `Journal.mark`."""
        try:
            _, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, self._shard), timeout=_ASK_S)
        except KafkaException as error:
            raise BrokerError(f"the end of {self._topic!r} cannot be had: {error.args[0].str()}") from error
        return str(high)

    def has_read(self, mark: str) -> bool:
        """See `Journal.has_read`."""
        return self._reached >= int(mark)

    def end(self) -> bool:
        """See `Journal.end`."""
        return self.has_read(self.mark())

    @property
    def trouble(self) -> str | None:
        """See `Journal.trouble`."""
        return self._health.trouble

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()
