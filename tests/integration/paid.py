"""A small detector and what it learns from: enough to train in a second, for tests of what becomes of models."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import polars as pl

from penstock import Detector, Entity, Label, LogisticRegression, Policy, Rule, XGBoost
from penstock.offline.options import Options
from penstock.offline.train import run

START = datetime(2026, 1, 1, tzinfo=UTC)


class Payment(msgspec.Struct):
    """A payment."""

    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    channel: str | None = None
    is_fraud: bool | None = None


customer = Entity("customer_id")


def detector(*, models=None, window="1h", name="paid", risk=None):
    """Payments whose fraud shows in the amount and in bursts. risk: looks up how risky a channel is."""
    return Detector(
        name,
        event=Payment,
        id="transaction_id",
        time="timestamp",
        label=Label("is_fraud", delay="1d"),
        features=[
            customer.count(window).named("recent"),
            customer.sum("amount", "24h").named("spent"),
            *([] if risk is None else [risk]),
        ],
        models=[LogisticRegression(weight=0.5), XGBoost(weight=0.5, trees=20, depth=3)] if models is None else models,
        rules=[Rule("huge", "amount > 5000", then="block")],
        policy=Policy(),
    )


def events(n=4000, *, seed=0, days=20):
    """Payments over some days, one in fifteen of them fraud: larger, but not always."""
    rng = np.random.default_rng(seed)
    fraud = rng.random(n) < 1 / 15
    amount = np.round(np.exp(rng.normal(3, 1, n) + 2.2 * fraud), 2)
    seconds = np.sort(rng.integers(0, days * 86_400, n))
    return pl.DataFrame(
        {
            "transaction_id": [f"t{at}" for at in range(n)],
            "timestamp": [START + timedelta(seconds=int(each)) for each in seconds],
            "customer_id": [f"c{each}" for each in rng.integers(0, 300, n)],
            "amount": amount,
            "channel": [("web", "shop", None)[each] for each in rng.integers(0, 3, n)],
            "is_fraud": fraud,
        }
    )


def trained(subject=None, frame=None, **options):
    """A training of it."""
    return run(subject or detector(), events() if frame is None else frame, Options(**options))
