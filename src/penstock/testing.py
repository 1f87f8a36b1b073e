"""Helpers for tests of your own detectors: a settable clock, and a small detector."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from penstock import Detector, Engine, Entity, Policy, Rule
from penstock.clock import to_us
from penstock.messages import Decision


class SetClock:
    """A clock with a settable time: `Engine(detector, clock=SetClock(...))`.

    >>> from datetime import UTC
    >>> clock = SetClock(datetime(2026, 1, 5, tzinfo=UTC))
    >>> clock.at(datetime(2026, 1, 6, tzinfo=UTC))
    >>> clock() - to_us(datetime(2026, 1, 5, tzinfo=UTC))
    86400000000
    """

    def __init__(self, instant: datetime) -> None:
        self._now_us = to_us(instant)

    def at(self, instant: datetime) -> None:
        """Move to an instant, which must be aware."""
        self._now_us = to_us(instant)

    def __call__(self) -> int:
        """Tell the instant."""
        return self._now_us


class ExamplePayment(msgspec.Struct):
    """The event of `example_detector`."""

    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float


def example_detector() -> Detector:
    """A detector of rules alone: the fourth payment of a customer within an hour is reviewed."""
    customer = Entity("customer_id")
    return Detector(
        "example",
        event=ExamplePayment,
        id="transaction_id",
        time="timestamp",
        features=[customer.count("1h"), customer.sum("amount", "24h")],
        rules=[Rule("fourth_in_an_hour", "customer_count_1h >= 4", then="review")],
        policy=Policy(on_failure="review"),
    )


def decide_all(detector: Detector, events: Iterable[Mapping[str, Any]], **options: Any) -> list[Decision]:
    """Decide events in an engine that lives in memory and is gone afterwards; options as for `Engine`.

    >>> event = {"timestamp": "2026-01-05T10:00:00Z", "customer_id": "c", "amount": 3.0}
    >>> decisions = decide_all(example_detector(), [{**event, "transaction_id": str(i)} for i in range(4)])
    >>> [decision.decision for decision in decisions]
    ['APPROVE', 'APPROVE', 'APPROVE', 'REVIEW']
    """
    with Engine(detector, **options) as engine:
        return engine.decide_many(list(events))
