"""A random stream of decided payments: out of order, with ties, gaps and nulls, in batches of any size."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from penstock import Detector, Engine, Entity, Policy, Rule
from penstock.ledger import MemoryLedger
from penstock.testing import SetClock

START = datetime(2026, 1, 5, tzinfo=UTC)


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    purchase_value: float
    country: str | None = None


customer = Entity("customer_id")


def detector():
    return Detector(
        "shop",
        event=Payment,
        id="transaction_id",
        time="timestamp",
        features=[customer.count("1h").named("count_1h"), customer.mean("purchase_value", "1d", current=False).named("usual")],
        rules=[
            Rule("large", "purchase_value > 800", then="block", reason="{purchase_value:.0f} is large"),
            Rule("often", "count_1h >= 6", then="review"),
        ],
        policy=Policy(on_failure="review"),
    )


class Stream:
    """What was decided, as rows for oracles, and the ledger that holds it."""

    def __init__(self):
        self.clock = SetClock(START)
        self.ledger = MemoryLedger()
        self.engine = Engine(detector(), ledger=self.ledger, clock=self.clock)
        self.rows = []

    def decide(self, events, at):
        """Decide events together; each a dict without id."""
        self.clock.at(at)
        named = [{"transaction_id": f"t{len(self.rows) + k}", **event} for k, event in enumerate(events)]
        for event, decision in zip(named, self.engine.decide_many(named), strict=True):
            time = min(event["timestamp"], at)
            self.rows.append({**event, "decision": decision.decision, "us": round((time - START) / timedelta(microseconds=1))})

    def records(self, start=0):
        return list(self.ledger.read(start))


def random_stream(seed, events=600):
    rng = np.random.default_rng(seed)
    stream = Stream()
    now = START
    left = events
    while left > 0:
        size = min(left, int(rng.integers(1, 40)))
        left -= size
        now += timedelta(seconds=float(rng.choice([0.5, 20.0, 90.0, 3000.0], p=[0.5, 0.3, 0.15, 0.05])))
        behind = np.where(rng.random(size) < 0.1, rng.random(size) * 900, np.round(rng.random(size) * 6, 0))
        ahead = rng.random(size) < 0.03
        stream.decide(
            [
                {
                    "timestamp": now + timedelta(seconds=7200.0) if ahead[k] else now - timedelta(seconds=float(behind[k])),
                    "customer_id": f"c{rng.integers(0, 9)}",
                    "purchase_value": float(rng.integers(1, 1000)),
                    "country": None if rng.random() < 0.1 else str(rng.choice(["DE", "FR", "AT"], p=[0.9, 0.05, 0.05])),
                }
                for k in range(size)
            ],
            now,
        )
    return stream


@pytest.fixture(scope="session", params=[1, 2])
def stream(request):
    return random_stream(request.param)


@pytest.fixture
def fresh():
    return Stream()
