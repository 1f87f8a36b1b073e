"""Health of a client's connection to Kafka."""

import threading
import time
from typing import Any

from confluent_kafka import KafkaError, KafkaException

_LOST = {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._TIMED_OUT}
_ASK_EVERY_S = 1.0
_ASK_S = 0.5


class Health:
    """The health of a client's connections, from its `error_cb`."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._lock = threading.Lock()
        self._trouble: str | None = None
        self._asked = 0.0

    def __call__(self, error: Any) -> None:
        """Record an error that the client reports."""
        if error.code() in _LOST:
            with self._lock:
                self._trouble = f"Kafka at {self._servers} does not answer: {error.str()}"

    def answered(self) -> None:
        """A broker has just answered."""
        if self._trouble is not None:
            with self._lock:
                self._trouble = None

    def ask(self, client: Any) -> None:
        """In trouble, ask now and then: errors may arrive late, and a client that has nothing to do hears nothing else."""
        now = time.monotonic()
        if self._trouble is None or now - self._asked < _ASK_EVERY_S:
            return
        self._asked = now
        self.reaches(client)

    def reaches(self, client: Any) -> bool:
        """Whether the brokers answer right now."""
        try:
            client.list_topics(timeout=_ASK_S)
        except KafkaException:
            return False
        self.answered()
        return True

    @property
    def trouble(self) -> str | None:
        """Why it cannot be reached; None when all is well."""
        return self._trouble
