"""A detector whose rules ask for more and for less than its score, as version 0.1 declared it, and payments for it."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from penstock import Detector, Entity, LogisticRegression, Policy, Rule
from penstock.models import About, fit_ensemble, promote, save


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    kind: str | None = None


detector = Detector(
    "ordered",
    event=Payment,
    id="transaction_id",
    time="timestamp",
    features=[Entity("customer_id").count("1h")],
    models=[LogisticRegression()],
    rules=[
        Rule("odd", "kind = 'odd'", then="review"),
        Rule("round", "amount % 10 = 0", then="challenge"),
        Rule("friend", "kind = 'friend'", then="allow"),
        Rule("large", "amount > 450", then="block"),
        Rule("stolen", "kind = 'stolen'", then="block", hard=True),
    ],
    policy=Policy(challenge_at=0.2, review_at=0.4, block_at=0.7, on_failure="review"),
    naive_times="UTC",
)


def payments(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Payments of 50 customers, two a minute; the same ones each time."""
    rng = np.random.default_rng(5)
    kinds = rng.choice(["", "odd", "friend", "stolen"], first + count, p=[0.6, 0.3, 0.08, 0.02])
    amounts, customers = rng.integers(1, 500, first + count), rng.integers(0, 50, first + count)
    start = datetime(2026, 1, 5)  # noqa: DTZ001  naive, as the detector allows
    return [
        {
            "transaction_id": f"t{k}",
            "timestamp": (start + timedelta(seconds=30 * k)).isoformat(),
            "customer_id": f"c{customers[k]}",
            "amount": float(amounts[k]),
            "kind": str(kinds[k]) or None,
        }
        for k in range(first, first + count)
    ]


def trained(folder: Path) -> None:
    """A bundle whose score grows with the amount."""
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.integers(1, 500, 400), rng.integers(1, 5, 400)]).astype(float)
    y = (x[:, 0] + rng.normal(0, 60, 400) > 330).astype(float)
    inputs = detector.plan.inputs
    about = About(detector.name, detector.version, detector.fingerprint(inputs), {}, {}, {})
    saved = save(fit_ensemble(detector.models, x[:300], y[:300], x[300:], y[300:], inputs, seed=0), folder, about)
    promote(folder, detector.name, str(saved.version))
