"""A small detector and recorded payments in which fraud can be learned: large amounts, and one bad branch."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest

from penstock import Detector, Entity, Label, LogisticRegression, Policy

START = datetime(2026, 1, 1, tzinfo=UTC)


class Payment(msgspec.Struct):
    id: str
    time: datetime
    customer: str
    branch: str
    amount: float
    fraud: bool | None = None


def declared(models=None, **changes) -> Detector:
    customer = Entity("customer")
    settings = {
        "event": Payment,
        "id": "id",
        "time": "time",
        "label": Label("fraud", delay="2d"),
        "features": [customer.count("1d"), customer.mean("amount", "7d", current=False).named("usual")],
        "inputs": ["amount", "branch", "customer_count_1d", "usual"],
        "models": [LogisticRegression()] if models is None else models,
        "policy": Policy(),
    }
    return Detector("small", **{**settings, **changes})


def payments(n=3000, seed=0, days=60) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    branch = rng.choice(["food", "fuel", "games"], n, p=[0.6, 0.3, 0.1])
    fraud = rng.random(n) < np.where(branch == "games", 0.25, 0.03)
    amount = np.round(np.exp(rng.normal(3 + 1.2 * fraud, 0.7, n)), 2)
    at = np.sort(rng.random(n)) * days
    return pl.DataFrame(
        {
            "id": [f"p{i}" for i in range(n)],
            "time": [START + timedelta(days=float(each)) for each in at],
            "customer": [f"c{i}" for i in rng.integers(0, 200, n)],
            "branch": branch,
            "amount": amount,
            "fraud": fraud,
        }
    )


@pytest.fixture
def small() -> Detector:
    return declared()


@pytest.fixture
def frame() -> pl.DataFrame:
    return payments()
