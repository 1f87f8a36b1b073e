"""Whether a client reaches its Kafka."""

import threading
from typing import Any

from confluent_kafka import KafkaError

_LOST = {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._TIMED_OUT}


class Health:
    """What a client last heard of its brokers; given to it as `error_cb`."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._lock = threading.Lock()
        self._trouble: str | None = None

    def __call__(self, error: Any) -> None:
        """The client has something to say."""
        if error.code() in _LOST:
            with self._lock:
                self._trouble = f"Kafka at {self._servers} does not answer: {error.str()}"

    def answered(self) -> None:
        """A broker has just answered."""
        if self._trouble is not None:
            with self._lock:
                self._trouble = None

    @property
    def trouble(self) -> str | None:
        """Why it cannot be reached; None when all is well."""
        return self._trouble
