"""A recorded week, its labels delivered late and some never, and its figures counted by hand: what every surface must show."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from penstock import Detector, Engine, Entity, Label, LogisticRegression, Policy, Rule
from penstock.models import fit_ensemble
from penstock.testing import SetClock

START = datetime(2026, 3, 2, tzinfo=UTC)
END = START + timedelta(days=7)
NOW = END + timedelta(hours=12)
DAYS, A_DAY = 7, 260


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    is_fraud: bool | None = None


customer = Entity("customer_id")


def declared(name: str = "week") -> Detector:
    return Detector(
        name,
        event=Payment,
        id="transaction_id",
        time="timestamp",
        label=Label("is_fraud", delay="30d", sources=("analyst", "bank")),
        features=[customer.count("1h"), customer.sum("amount", "24h")],
        models=[LogisticRegression()],
        rules=[Rule("dear", "amount > 150", then="block"), Rule("often", "customer_count_1h >= 4", then="review")],
        policy=Policy(review_at=0.6, block_at=0.8),
    )


def trained(detector: Detector) -> Any:
    rng = np.random.default_rng(0)
    x = rng.exponential(50, size=(600, len(detector.plan.inputs)))
    y = (x[:, 0] + rng.normal(0, 20, 600) > 60).astype(float)
    found = fit_ensemble(detector.models, x[:400], y[:400], x[400:], y[400:], detector.plan.inputs, seed=0)
    found.version = "v1"
    return found


@contextmanager
def recorded_week(data: Path) -> Iterator[tuple[Engine, Path, list[dict[str, Any]], dict[str, bool]]]:
    """An engine that decided a week, its rows as answered, and the truth by id as it is known at NOW."""
    rng, clock, rows, truth = np.random.default_rng(7), SetClock(START), [], {}
    detector = declared()
    with Engine(detector, models=trained(detector), data=data, clock=clock) as engine:
        for number in range(DAYS * A_DAY):
            at = START + timedelta(seconds=number * 86_400 / A_DAY)
            clock.at(at)
            event = {"transaction_id": f"t{number}", "timestamp": at.isoformat(), "customer_id": f"c{rng.integers(40)}"}
            event["amount"] = round(float(rng.exponential(80)), 2)
            answer = engine.decide(event)
            rules = [rule.name for rule in answer.explanation.rules]
            rows.append({**event, "at": at, "decision": answer.decision, "p": answer.fraud_probability, "rules": rules})
        clock.at(NOW)
        for row in rows:
            say(engine, row, rng, truth)
        while not engine.label_outcomes.since().complete:
            pass  # each look reads labels for a quarter of a second
        yield engine, data, rows, truth


def say(engine, row, rng, truth) -> None:
    """A label for half of them, days later, so that some are known only after NOW; some are corrected, also in the future."""
    if rng.random() < 0.5:
        return
    fraud, known_at = (
        bool(rng.random() < (0.5 if row["amount"] > 100 else 0.1)),
        row["at"] + timedelta(days=int(rng.integers(1, 9))),
    )
    engine.label(row["transaction_id"], fraud=fraud, at=known_at, source="bank")
    if known_at <= NOW:
        truth[row["transaction_id"]] = fraud
    if rng.random() < 0.1:
        corrected_at = known_at + timedelta(days=int(rng.integers(0, 5)))
        engine.label(row["transaction_id"], fraud=not fraud, at=corrected_at, source="analyst")
        if corrected_at <= NOW:
            truth[row["transaction_id"]] = not fraud


# ---------------------------------------------------------------- by hand


def rate(part: int, of: int) -> dict[str, Any]:
    """A share with Wilson's interval, written out; only counts below 30."""
    if of < 30:
        return {"value": None, "low": None, "high": None, "of": of, "part": part}
    z, p = 1.959963984540054, part / of
    middle, half = p + z**2 / (2 * of), z * math.sqrt(p * (1 - p) / of + z**2 / (4 * of**2))
    ends = [max(0.0, (middle - half) / (1 + z**2 / of)), min(1.0, (middle + half) / (1 + z**2 / of))]
    return {"value": p, "low": pytest.approx(ends[0]), "high": pytest.approx(ends[1]), "of": of, "part": part}


def by_hand(rows, truth) -> dict[str, Any]:
    """Everything about some rows, by filtering them one by one."""
    known = [row for row in rows if row["transaction_id"] in truth]
    fraud = [row for row in known if truth[row["transaction_id"]]]
    good = [row for row in known if not truth[row["transaction_id"]]]
    caught, mistaken = ([row for row in some if row["decision"] != "APPROVE"] for some in (fraud, good))
    blocked = [row for row in rows if row["decision"] == "BLOCK"]
    prevented, blocked_good = ([row for row in some if row["decision"] == "BLOCK"] for some in (fraud, good))
    unknown = [row for row in blocked if row["transaction_id"] not in truth]
    spread = sum(row["p"] * (1 - row["p"]) for row in blocked)
    return {
        "known": len(known),
        "fraud": len(fraud),
        "good": len(good),
        "fraud_rate": rate(len(fraud), len(known)),
        "precision": rate(len(caught), len(caught) + len(mistaken)),
        "recall": rate(len(caught), len(fraud)),
        "false_positive_rate": rate(len(mistaken), len(good)),
        "precision_of_blocks": rate(len(prevented), len(prevented) + len(blocked_good)),
        "prevented": some(prevented),
        "blocked_good": some(blocked_good),
        "blocked_unknown": some(unknown),
        "estimated": sum(row["p"] for row in blocked),
        "estimated_half": 1.959963984540054 * math.sqrt(spread),
        "estimated_amount": sum(row["p"] * row["amount"] for row in blocked),
    }


def some(rows) -> dict[str, Any]:
    return {"count": len(rows), "amount": pytest.approx(sum(row["amount"] for row in rows), abs=0.01)}
