"""The owner's end of a journal on Kafka: claims it, and appends entries that count."""

import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Producer, TopicPartition

from penstock.adapters.kafka.address import KafkaAddress
from penstock.adapters.kafka.claims import CLAIM, RELEASED, JournalClaims, place_of
from penstock.adapters.kafka.health import Health
from penstock.adapters.kafka.journal import reader
from penstock.errors import BrokerError, BrokerUnavailable, Fenced

LARGEST_ENTRY = 32 << 20

_CLAIM_S = 30.0
_RELEASE_S = 1.0
_ASK_S = 0.05


class JournalWriter:
    """Appends to the journal of one shard, once it has claimed it.

    The producer is idempotent: a message that is sent again after a lost acknowledgement stands in the journal once, in its
    order. An entry counts if no claim stands between it and the owner's message before it. That is so where the two have
    adjacent offsets; else what lies between them is read.

    fenced: whether another owner has claimed.
    """

    def __init__(self, address: KafkaAddress, shard: int, health: Health, lost: Callable[[], bool]) -> None:
        self._address, self._shard, self._health, self._lost = address, shard, health, lost
        self._producer = Producer(
            address.client(
                health,
                enable_idempotence=True,
                message_timeout_ms=0,  # an entry is sent until it is acknowledged
                compression_type="lz4",
                linger_ms=0,
                message_max_bytes=LARGEST_ENTRY,
                retry_backoff_ms=20,
                reconnect_backoff_max_ms=500,
            )
        )
        self.fenced = False
        self.claimed = self._next = -1

    def claim(self) -> int:
        """Claim the journal; returns the claim's number.

        Raises:
            BrokerUnavailable: Kafka does not answer.
        """
        self.claimed = self._sent(b"", {CLAIM: b""}, _CLAIM_S)
        self._next = self.claimed + 1
        return self.claimed

    def append(self, entry: bytes) -> str:
        """Append an entry, or a sign of life if it is empty; returns its position once the broker has it.

        Raises:
            Fenced: another owner has claimed: the entry does not count.
        """
        offset = self._sent(entry, {CLAIM: b"%d" % self.claimed})
        if offset != self._next and self._claimed_before(offset):
            self.fenced = True
            raise Fenced(f"shard {self._shard} has another owner now")
        self._next = offset + 1
        return place_of(offset, self.claimed)

    def _sent(self, body: bytes, headers: dict[str, str | bytes | None], patience_s: float = float("inf")) -> int:
        """The offset of a message that the broker has acknowledged; waits while the broker does not answer."""
        delivered: list[tuple[Any, Any]] = []
        until = time.monotonic() + patience_s
        self._producer.produce(
            self._address.topics.journal,
            body,
            partition=self._shard,
            headers=headers,
            on_delivery=lambda error, message: delivered.append((error, message.offset())),
        )
        while not delivered:
            self._producer.poll(_ASK_S)
            if not delivered and self._lost() and self._health.trouble is not None:
                raise Fenced(f"shard {self._shard} goes to another worker")
            if not delivered and time.monotonic() > until:
                raise BrokerUnavailable(
                    f"shard {self._shard} cannot be claimed: {self._health.trouble or 'Kafka does not answer'}"
                )
        error, offset = delivered[0]
        if error is not None and self.claimed >= 0:  # whether it stands there is unknown: only who follows anew knows
            self.fenced = True
            raise Fenced(f"shard {self._shard}: Kafka does not take what this owner writes: {error.str()}")
        if error is not None:
            raise BrokerError(f"the journal {self._address.topics.journal!r} takes nothing: {error.str()}")
        self._health.answered()
        return int(offset)

    def _claimed_before(self, offset: int) -> bool:
        """Whether a claim stands between this owner's last two messages."""
        consumer, claims = reader(self._address, self._health, auto_offset_reset="error"), JournalClaims(self.claimed)
        try:
            consumer.assign([TopicPartition(self._address.topics.journal, self._shard, self._next)])
            while True:
                message: Any = consumer.poll(_ASK_S)
                if message is None or message.error() is not None:
                    continue
                if message.offset() >= offset:
                    return claims.newest != self.claimed
                claims.counts(message)
        finally:
            consumer.close()

    def release(self) -> None:
        """Say that nothing follows, so that another may claim at once; no more if the broker does not answer."""
        if not self.fenced and self._health.trouble is None:
            self._producer.produce(
                self._address.topics.journal, b"", partition=self._shard, headers={CLAIM: b"%d" % self.claimed, RELEASED: b"1"}
            )
            self._producer.flush(_RELEASE_S)
