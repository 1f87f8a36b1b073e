"""Keys that the stream left behind are forgotten; one wrong clock forgets nobody."""

from datetime import UTC, datetime, timedelta
from typing import Any

from penstock import Engine
from penstock.testing import example_detector

START = datetime(2026, 1, 5, tzinfo=UTC)


def payment(k: int, customer_id: str, at: datetime) -> dict[str, Any]:
    return {"transaction_id": f"t{k}", "timestamp": at.isoformat(), "customer_id": customer_id, "amount": 1.0}


def test_idle_keys_are_forgotten_as_the_stream_moves_on() -> None:
    """Windows of a day and lateness of a day: after some days nothing of a key can be read any more."""
    with Engine(example_detector()) as engine:
        engine.decide(payment(0, "idle", START))
        for day in range(8):
            engine.decide_many([payment(10 * day + k + 1, "busy", START + timedelta(days=day)) for k in range(5)])
        table = engine.pipeline.table("customer")
        assert engine.entity("customer", "idle") is None
        assert table.counts()["forgotten"] == 1
        assert table.keys == 1


def test_an_event_far_ahead_makes_nobody_forgotten() -> None:
    """Its key is new; the others go on where they were."""
    with Engine(example_detector()) as engine:
        for k in range(3):
            engine.decide(payment(k, "c", START))
        engine.decide(payment(8, "other", START + timedelta(days=200)))
        assert engine.decide(payment(9, "c", START)).features["customer_count_1h"] == 4
