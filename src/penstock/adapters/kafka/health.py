"""Health of a client's connection to Kafka."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException

from penstock.errors import BrokerError, BrokerUnavailable

_LOST = {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._TIMED_OUT}
_ASK_EVERY_S = 1.0
_ASK_S = 0.5

TRANSIENT = {
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.NOT_CONTROLLER,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError._TRANSPORT,
}
"""Answers of a cluster that is electing a leader or a coordinator, or has just started: asked again, it answers."""

_PATIENCE_S = 10.0
_MISSING_S = 3.0
"""How long a topic may be unknown: a broker that has just started learns of its topics one after the other."""

_AGAIN_S = 0.05

T = TypeVar("T")


def patiently(ask: Callable[[], T], clock: Callable[[], float] = time.monotonic) -> T:
    """The answer to a question, asked again for at most 10 s while the answer is a transient error.

    Raises:
        KafkaException: another error, or still the same.
    """
    begun = clock()
    while True:
        try:
            return ask()
        except KafkaException as error:
            if clock() - begun >= _patience_s(error.args[0].code()):
                raise
        time.sleep(_AGAIN_S)


def _patience_s(code: int) -> float:
    if code in TRANSIENT:
        return _PATIENCE_S
    return _MISSING_S if code == KafkaError.UNKNOWN_TOPIC_OR_PART else 0.0


def refused(what: str, error: KafkaException) -> BrokerError:
    """The error of Penstock for one of the client that patience did not help against.

    >>> refused("shard 2 cannot be claimed", KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer")))
    BrokerUnavailable('shard 2 cannot be claimed: no answer')
    >>> refused("shard 2 cannot be claimed", KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "not allowed")))
    BrokerError('shard 2 cannot be claimed: not allowed')
    """
    cause = error.args[0]
    kind = BrokerUnavailable if cause.code() in TRANSIENT | _LOST else BrokerError
    return kind(f"{what}: {cause.str()}")


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
