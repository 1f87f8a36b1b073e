"""A detector whose entities all lie within a customer, so that it can be split into shards, and payments for it."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np

from penstock import Detector, Entity, Rule

KEY = "customer_id"


class Payment(msgspec.Struct):
    """An event of the stream."""

    transaction_id: str
    timestamp: datetime
    customer_id: str
    merchant_id: str
    amount: float


class Login(msgspec.Struct):
    """What informs of a customer."""

    transaction_id: str
    timestamp: datetime
    customer_id: str


customer, pair = Entity("customer_id"), Entity("customer_id", "merchant_id", name="pair")
detector = Detector(
    "sharded",
    event=Payment,
    id="transaction_id",
    time="timestamp",
    informs=[Login],
    features=[customer.count("1h"), customer.sum("amount", "1d"), pair.count("7d"), customer.last("merchant_id")],
    rules=[Rule("many", "customer_count_1h > 50", then="review")],
)


def events(n: int) -> list[dict]:
    """Payments, and logins among them, of unequal customers: some late, some at equal times."""
    rng = np.random.default_rng(5)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    at = np.cumsum(rng.integers(0, 60, n))
    late = np.where(rng.random(n) < 0.05, rng.integers(0, 7200, n), 0)
    found = []
    for i in range(n):
        event = {
            "transaction_id": f"tx{i}",
            "timestamp": (start + timedelta(seconds=int(at[i] - late[i]))).isoformat(),
            "customer_id": f"c{int(rng.zipf(1.5)) % 40}",
        }
        if rng.random() < 0.1:
            event["type"] = "Login"
        else:
            event |= {"merchant_id": f"m{int(rng.integers(0, 9))}", "amount": float(np.round(rng.lognormal(3, 1), 2))}
        found.append(event)
    return found
