"""The Kafka producer of transactions, labels and other inbox messages, for producers and API processes."""

import threading
from typing import Any

from confluent_kafka import KafkaException, Producer

from penstock.adapters.kafka.address import KafkaAddress
from penstock.adapters.kafka.health import Health
from penstock.errors import BrokerError
from penstock.stream.port import OnAcknowledged
from penstock.stream.trace_context import TRACEPARENT


class KafkaOutlet:
    """`Outlet` on Kafka. A message not delivered within `patience_s` is dropped, and its sender notified, from a separate
    thread.
    """

    def __init__(self, address: KafkaAddress, *, patience_s: float = 30.0) -> None:
        self._topics = address.topics
        self._health = Health(address.servers)
        self._producer = Producer(
            address.client(
                self._health,
                enable_idempotence=True,
                compression_type="lz4",
                linger_ms=1,
                message_max_bytes=16 << 20,
                delivery_timeout_ms=int(patience_s * 1000),
                partitioner="murmur2_random",  # as Java's producers do it
            )
        )
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._report, name="penstock-deliveries", daemon=True)
        self._thread.start()

    def put(self, role: str, key: str, body: bytes, done: OnAcknowledged | None = None, *, trace: bytes = b"") -> None:
        """See `Outlet.put`."""
        on_delivery = self._on_delivery(done) if done is not None else None
        try:
            headers: list[tuple[str, str | bytes | None]] | None = [(TRACEPARENT, trace)] if trace else None
            self._producer.produce(
                self._topics.named(role), body, key.encode() or None, on_delivery=on_delivery, headers=headers
            )
        except BufferError as error:
            raise BrokerError("Kafka takes less than is sent: too many messages wait; come again") from error
        except KafkaException as error:
            raise BrokerError(f"Kafka refuses the message: {error.args[0].str()}") from error

    def _on_delivery(self, done: OnAcknowledged) -> Any:
        def delivered(error: Any, message: Any) -> None:  # noqa: ARG001  the client's signature
            if error is None:
                self._health.answered()
            done(None if error is None else BrokerError(f"Kafka did not take the message: {error.str()}"))

        return delivered

    def _report(self) -> None:
        """Deliveries are reported within polls."""
        while not self._closing.is_set():
            self._producer.poll(0.2)
            self._health.ask(self._producer)

    def flush(self, timeout_s: float) -> int:
        """See `Outlet.flush`."""
        return int(self._producer.flush(timeout_s))

    @property
    def trouble(self) -> str | None:
        """Why Kafka cannot be reached; None when all is well."""
        return self._health.trouble

    def close(self) -> None:
        """Flush and close."""
        self._closing.set()
        self._thread.join()
        self._producer.flush(10.0)
