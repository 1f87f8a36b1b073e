"""Questions to Kafka while a cluster elects leaders."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from penstock.adapters.kafka.health import patiently


class Cluster:
    """Answers with an error until it has been asked so many times; each question takes a second."""

    def __init__(self, code: int, times: int) -> None:
        self.code, self.times, self.now_s = code, times, 0.0

    def ask(self) -> str:
        self.now_s += 1.0
        if self.now_s <= self.times:
            raise KafkaException(KafkaError(self.code))
        return "answer"

    def clock(self) -> float:
        return self.now_s


@pytest.mark.parametrize("code", [KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART])
def test_what_a_moment_mends_is_asked_again(code: int) -> None:
    cluster = Cluster(code, times=2)
    assert patiently(cluster.ask, cluster.clock) == "answer"
    assert cluster.now_s == 3


@pytest.mark.parametrize(
    ("code", "asked"),
    [
        (KafkaError.NOT_LEADER_FOR_PARTITION, 10),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, 3),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, 1),
    ],
)
def test_what_stays_is_raised(code: int, asked: int) -> None:
    cluster = Cluster(code, times=1000)
    with pytest.raises(KafkaException):
        patiently(cluster.ask, cluster.clock)
    assert cluster.now_s == asked
