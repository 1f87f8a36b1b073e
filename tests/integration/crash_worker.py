"""A process that decides a fixed stream and is killed while it does: see `test_crash`.

Prints `start SEQ` after recovery, then `done N` whenever the first N events have become durable.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np

from penstock import Detector, Engine, Entity, Label, Rule

BATCH = 7


class Payment(msgspec.Struct):
    """An event of the stream."""

    transaction_id: str
    timestamp: datetime
    customer_id: str
    merchant_id: str
    amount: float
    is_fraud: bool | None = None


customer, merchant = Entity("customer_id"), Entity("merchant_id")
detector = Detector(
    "crash",
    event=Payment,
    id="transaction_id",
    time="timestamp",
    label=Label("is_fraud", delay="1h"),
    features=[
        customer.count("1h"),
        customer.std("amount", "7d"),
        customer.max("amount", "24h"),
        customer.last("merchant_id"),
        customer.distinct("merchant_id", "24h"),
        merchant.count("24h"),
        merchant.label_rate("7d"),
    ],
    rules=[Rule("many", "customer_count_1h > 6", then="review")],
)


def events(n: int) -> list[dict]:
    """The same events every time: some late, some at equal times."""
    rng = np.random.default_rng(11)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    at = np.cumsum(rng.integers(0, 90, n))
    late = np.where(rng.random(n) < 0.05, rng.integers(0, 7200, n), 0)
    return [
        {
            "transaction_id": f"tx{i}",
            "timestamp": (start + timedelta(seconds=int(at[i] - late[i]))).isoformat(),
            "customer_id": f"c{int(rng.integers(0, 40))}",
            "merchant_id": f"m{int(rng.integers(0, 9))}",
            "amount": float(np.round(rng.lognormal(3, 1), 2)),
        }
        for i in range(n)
    ]


def decided(engine: Engine) -> int:
    """How many events of the stream the ledger holds."""
    return engine.stats()["total"]


def feed(engine: Engine, stream: list[dict], first: int, tell=lambda _n: None) -> None:
    """Decide from event `first` on, in small batches; every fifth batch labels an event of the one before."""
    encode = msgspec.json.Encoder().encode
    for start in range(first, len(stream), BATCH):
        stop = min(start - start % BATCH + BATCH, len(stream))
        bodies = [encode(event) for event in stream[start:stop]]
        engine.decide_json(bodies, on_durable=lambda error, stop=stop: tell(stop) if error is None else None)


def label(engine: Engine, stream: list[dict]) -> None:
    """Label some events as frauds, at fixed times."""
    for i in range(0, len(stream), 50):
        known = datetime.fromisoformat(stream[i]["timestamp"]) + timedelta(hours=3)
        engine.label(f"tx{i}", fraud=True, at=known)


if __name__ == "__main__":
    folder, n = Path(sys.argv[1]), int(sys.argv[2])
    with Engine(detector, data=folder, snapshot_every_s=0.001) as running:
        running.recovery.every_events = 200
        print("start", decided(running), flush=True)
        feed(running, events(n), decided(running), lambda done: print("done", done, flush=True))
        running.ledger.flush()
        label(running, events(n))
        print("end", running.pipeline.state.digest(), flush=True)
