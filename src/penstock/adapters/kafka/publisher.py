"""Publishes what follows from a journal, behind the decisions: each message once for readers of committed data.

Nobody who decides waits for it. A transaction holds the messages that follow from some entries and, in a topic for this alone,
the position of the last of these entries. A new owner fences the one before it, reads that position, and goes on behind it:
what its predecessor did not publish any more is derived from the journal again.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from penstock.adapters.kafka.address import KafkaAddress
from penstock.adapters.kafka.claims import parts_of, place_of
from penstock.adapters.kafka.health import TRANSIENT, Health, patiently, refused
from penstock.adapters.kafka.journal import KafkaJournal, reader
from penstock.errors import BrokerUnavailable, Fenced
from penstock.stream.port import Derive, Outgoing

POSITION = "penstock-journal"
"""The header of each message: the journal position of the entry that it follows from."""

MOST_WAITING = 40_000
"""Messages that wait before an owner waits, too."""

PACE_S = 0.01
"""Seconds from the beginning of a transaction to that of the next: one costs the broker as much as hundreds of messages."""

_AT_ONCE = 10_000
_CLAIM_S = 30.0
_ASK_S = 10.0
_NEAR = 16
"""So many offsets before its end a partition's last message is looked for first."""

_FENCED = {
    KafkaError._FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.PRODUCER_FENCED,
    KafkaError.TRANSACTION_COORDINATOR_FENCED,
    KafkaError.INVALID_PRODUCER_ID_MAPPING,
}

_Following = tuple[str, Sequence[Outgoing]]
"""The position of an entry, and the messages that follow from it."""


class KafkaPublisher:
    """Publishes for one shard. The constructor fences earlier publishers, and the transactional owners of version 0.1.

    fenced: whether another publisher has fenced this one.

    Raises:
        BrokerError: Kafka does not answer.
    """

    def __init__(self, address: KafkaAddress, group: str, shard: int, health: Health) -> None:
        self._address, self._shard, self._health = address, shard, health
        self._topic = address.published
        names = f"{group}.{shard}.0", f"{group}.{shard}.1"  # as owners of version 0.1 had them
        with ThreadPoolExecutor() as pool:
            self._producers = deque(pool.map(self._transactional, names))
        self._position: Future[str | None] = Future()
        threading.Thread(target=self._read_position, name="penstock-published", daemon=True).start()
        self._changed = threading.Condition()
        self._waiting: deque[_Following] = deque()
        self._number, self._due = 0, 0.0
        self._busy = self._closing = False
        self._failure: Exception | None = None
        self.fenced = False
        self._thread: threading.Thread | None = None

    def _transactional(self, name: str) -> Producer:
        """A producer that has fenced all earlier ones of this name."""
        producer = Producer(
            self._address.client(
                self._health,
                transactional_id=name,
                compression_type="lz4",
                linger_ms=0,
                message_max_bytes=32 << 20,
                queue_buffering_max_messages=1_000_000,
                retry_backoff_ms=2,  # where the coordinator says "again", waiting 100 ms would be the pace of transactions
                reconnect_backoff_max_ms=500,
            )
        )
        try:
            patiently(lambda: producer.init_transactions(_CLAIM_S))
        except KafkaException as error:
            raise refused(f"shard {self._shard} cannot be claimed", error) from error
        return producer

    # ------------------------------------------------------------ where it goes on

    def begin(self, claim: int, derive: Derive) -> None:
        """Publish what follows from the entries before a claim and was not published, then what `put` brings.

        Raises:
            BrokerError: Kafka does not answer, or the topic of positions is missing.
        """
        published = self._position.result()
        if published is None:  # what version 0.1 decided was published with the entries themselves
            published = place_of(claim, claim)
            self._insist(lambda: self._transact([(published, ())]))
        self._thread = threading.Thread(target=self._run, args=(published, claim, derive), name="penstock-publish", daemon=True)
        self._thread.start()

    def _read_position(self) -> None:
        """Find out, with the claim, how far is published; nobody else publishes from here on."""
        try:
            self._position.set_result(self._published())
        except Exception as error:  # noqa: BLE001  the waiting thread raises it
            self._position.set_exception(error)

    def _published(self) -> str | None:
        """The last position that was published."""
        consumer = reader(self._address, self._health, auto_offset_reset="earliest")
        partition = TopicPartition(self._topic, self._shard)
        try:
            low, high = patiently(lambda: consumer.get_watermark_offsets(partition, timeout=_ASK_S))
            near = _NEAR
            while low < high:
                found = self._last(consumer, max(low, high - near))
                if found is not None or high - near <= low:
                    return found
                near *= _NEAR
        except KafkaException as error:
            what = f"what was published from shard {self._shard} cannot be read from {self._topic!r}"
            raise refused(f"{what} (a missing topic is created by: penstock topics create)", error) from error
        finally:
            consumer.close()
        return None

    def _last(self, consumer: Any, offset: int) -> str | None:
        """The last message from an offset on."""
        consumer.assign([TopicPartition(self._topic, self._shard, offset)])
        found = None
        until = time.monotonic() + _ASK_S
        while time.monotonic() < until:
            message = consumer.poll(0.1)
            if message is None:
                continue
            if message.error() is None:
                found = message.value().decode()
            elif message.error().code() == KafkaError._PARTITION_EOF:
                return found
            elif message.error().code() not in TRANSIENT:
                raise KafkaException(message.error())
        raise BrokerUnavailable(f"Kafka at {self._address.servers} does not answer")

    # ------------------------------------------------------------ publishing

    def put(self, place: str, out: Sequence[Outgoing]) -> None:
        """Publish these messages of an entry soon; waits while too many wait.

        Raises:
            Fenced: another owner publishes.
        """
        if not out and self._failure is None:
            return
        with self._changed:
            self._changed.wait_for(lambda: self._number < MOST_WAITING or self._failure is not None)
            if self._failure is not None:
                raise self._failure
            self._waiting.append((place, out))
            self._number += len(out)
            self._changed.notify_all()

    def _run(self, published: str, claim: int, derive: Derive) -> None:
        try:
            self._go_on(published, claim, derive)
            while batch := self._next():
                self._insist(lambda batch=batch: self._transact(batch))  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001  the owner must hear of it, whatever it is
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _go_on(self, published: str, claim: int, derive: Derive) -> None:
        """Publish what follows from the entries between the last published one and the claim."""
        if parts_of(published)[0] >= claim:
            return
        journal = KafkaJournal(self._address, self._shard, published)
        try:
            while not journal.has_read(str(claim)) and not self._closing:
                batch = [(place, derive(data)) for place, data in journal.poll(0.1) if parts_of(place)[0] < claim]
                if batch:
                    self._insist(lambda batch=batch: self._transact(batch))  # type: ignore[misc]
        finally:
            journal.close()

    def _next(self) -> list[_Following]:
        """The next entries with messages; waits for some, and is empty at the end."""
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._closing)
            rest_s = self._due - time.monotonic()
            self._changed.wait_for(lambda: self._number >= _AT_ONCE or self._closing, max(0.0, rest_s))
            self._due = time.monotonic() + PACE_S
            found: list[_Following] = []
            number = 0
            while self._waiting and number < _AT_ONCE:
                found.append(self._waiting.popleft())
                number += len(found[-1][1])
            self._number -= number
            self._busy = bool(found)
            return found

    def _transact(self, batch: Sequence[_Following]) -> None:
        """Publish the messages of some entries, and the position of the last."""
        topics = self._address.topics
        self._producers.rotate()
        self._producer.begin_transaction()
        for place, out in batch:
            headers = {POSITION: b"%d" % parts_of(place)[0]}
            for role, key, body in out:
                self._produce(topics.named(role), body, key.encode(), headers=headers)
        self._produce(self._topic, batch[-1][0].encode(), b"%d" % self._shard, partition=self._shard)
        self._patiently(self._producer.commit_transaction)
        self._health.answered()

    @property
    def _producer(self) -> Producer:
        """Whose turn it is: a coordinator answers before a transaction has ended everywhere, and the same producer's next one
        would wait for that, 20 ms at a time.
        """
        return self._producers[0]

    def _produce(self, topic: str, body: bytes, key: bytes, **more: Any) -> None:
        while True:
            try:
                return self._producer.produce(topic, body, key, **more)
            except BufferError:
                self._producer.poll(0.1)

    def _patiently(self, ask: Callable[[], None]) -> None:
        """Ask again while the answer is only late."""
        while True:
            try:
                return ask()
            except KafkaException as error:
                if not error.args[0].retriable() or error.args[0].txn_requires_abort():
                    raise

    def _insist(self, transact: Callable[[], None]) -> None:
        """Roll back and transact again until it is committed; a broker that does not answer is waited for.

        Raises:
            Fenced: another owner publishes.
        """
        while True:
            try:
                return transact()
            except KafkaException as error:
                self._roll_back(error.args[0])

    def _roll_back(self, error: Any) -> None:
        self._raise_if_fenced(error)
        self._health(error)
        if self._closing:
            raise Fenced(f"shard {self._shard} is released while Kafka does not answer; its successor publishes the rest")
        try:
            self._patiently(self._producer.abort_transaction)
        except KafkaException as failed:
            self._raise_if_fenced(failed.args[0])
        time.sleep(0.2)

    def _raise_if_fenced(self, error: Any) -> None:
        if error.code() in _FENCED or error.fatal():
            self.fenced = True
            raise Fenced(f"shard {self._shard} has another owner now: {error.str()}")

    def close(self, wait_s: float) -> None:
        """Publish what waits, for at most so long; a successor publishes the rest."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None or not (self._waiting or self._busy), wait_s)
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            with suppress(RuntimeError):
                self._thread.join(wait_s)
