"""The journal on Kafka: one partition, of which the messages count that `claims` says."""

import logging
import time
import uuid
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from penstock.adapters.kafka.address import KafkaAddress
from penstock.adapters.kafka.claims import JournalClaims, parts_of, place_of
from penstock.adapters.kafka.health import Health
from penstock.errors import BrokerError

SILENCE_S = 2.0
"""Seconds without a sign of life after which an owner counts as gone."""

BEGIN_S = 8.0
"""The same after a claim, before whose first sign of life an owner catches up, and begins to read and to publish."""

UNKNOWN = "%s: a broker that has just started may not know all topics yet; a topic that was deleted must be created again"

_ASK_S = 5.0
_MOST = 64
_log = logging.getLogger(__name__)
_EOF = KafkaError._PARTITION_EOF
_DELETED = KafkaError._AUTO_OFFSET_RESET


def reader(address: KafkaAddress, health: Health, **more: Any) -> Consumer:
    """A consumer of committed messages that belongs to no group; names of settings are written with _ for the dots."""
    return Consumer(
        address.client(
            health,
            group_id=f"penstock-follower-{uuid.uuid4().hex}",  # required, and used for nothing
            isolation_level="read_committed",
            enable_auto_commit=False,
            enable_partition_eof=True,
            fetch_wait_max_ms=100,
            **more,
        )
    )


class KafkaJournal:
    """`Journal` on Kafka."""

    def __init__(self, address: KafkaAddress, shard: int, after: str | None) -> None:
        self._health = Health(address.servers)
        self._topic, self._shard = address.topics.journal, shard
        self._consumer = reader(address, self._health, auto_offset_reset="error" if after is not None else "earliest")
        offset, claim = (-1, None) if after is None else parts_of(after)
        self._claims = JournalClaims(claim)
        self._reached = offset + 1
        self._last_answer: float | None = None
        self._consumer.assign([TopicPartition(self._topic, shard, OFFSET_BEGINNING if after is None else offset + 1)])

    def poll(self, timeout_s: float) -> list[tuple[str, bytes]]:
        """See `Journal.poll`."""
        found = self._consumer.consume(_MOST, 0)
        if not found:
            first = self._consumer.poll(timeout_s)
            found = [] if first is None else [first]
        self._health.ask(self._consumer)
        if self._last_answer is not None and self._health.trouble is not None:
            self._last_answer = time.monotonic()  # the owner may live, and be as cut off as this
        return [entry for message in found for entry in self._read(message)]

    def _read(self, message: Any) -> list[tuple[str, bytes]]:
        """The entry of one message, if it is one that counts."""
        error = message.error()
        if error is None:
            self._reached = message.offset() + 1
            self._health.answered()
            counts = self._claims.counts(message)
            if counts and self._last_answer is not None:
                self._last_answer = time.monotonic()
            return [(place_of(message.offset(), self._claims.newest), message.value())] if counts and message.value() else []
        if error.code() == _EOF:
            self._reached = max(self._reached, message.offset())
            self._last_answer = self._last_answer or time.monotonic()
            self._health.answered()
        elif error.code() == _DELETED:
            raise BrokerError(
                f"the journal {self._topic!r} no longer holds what follows {self._reached - 1}; copy the data folder of a "
                "worker that has it, and keep the journal for longer (retention.ms=-1)"
            )
        elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART and self._last_answer is not None:
            _log.warning(UNKNOWN, error.str())
        elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise BrokerError(f"there is no topic {self._topic!r}; create it: penstock topics create")
        return []

    @property
    def abandoned(self) -> bool:
        """See `Journal.abandoned`."""
        if self._claims.newest is None or self._last_answer is None:
            return False
        silence_s = SILENCE_S if self._claims.begun else BEGIN_S
        return self._claims.released or time.monotonic() - self._last_answer > silence_s

    def mark(self) -> str | None:
        """See `Journal.mark`."""
        try:
            _, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, self._shard), timeout=_ASK_S)
        except KafkaException as error:
            self._health(error.args[0])
            return None
        return str(high)

    def has_read(self, mark: str) -> bool:
        """See `Journal.has_read`."""
        return self._reached >= int(mark)

    def end(self) -> bool:
        """See `Journal.end`."""
        mark = self.mark()
        return mark is not None and self.has_read(mark)

    @property
    def trouble(self) -> str | None:
        """See `Journal.trouble`."""
        return self._health.trouble

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()
