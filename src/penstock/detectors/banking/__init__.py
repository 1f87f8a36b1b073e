"""Payments by bank customers: a customer, a merchant, an amount, a place and a time.

Judged by two models and two rules.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from penstock import Detector, Label, LogisticRegression, Policy, Rule, XGBoost
from penstock.detectors.banking.features import features, inputs, words
from penstock.detectors.banking.recorded import adapt

__all__ = ["Transaction", "detector"]


class Transaction(msgspec.Struct, kw_only=True):
    """A customer pays a merchant; all amounts are in one currency."""

    transaction_id: Annotated[str | None, Meta(description="Made where it is missing.")] = None
    timestamp: Annotated[datetime, Meta(description="When it is paid, with a time zone.")]
    customer_id: Annotated[str, Meta(description="Who pays.")]
    merchant_id: Annotated[str, Meta(description="Who is paid.")]
    amount: Annotated[float, Meta(ge=0, le=1e12, description="In the one currency of all amounts.")]
    lat: Annotated[float, Meta(ge=-90, le=90, description="Where the customer is: degrees north.")] | None = None
    long: Annotated[float, Meta(ge=-180, le=180, description="Where the customer is: degrees east.")] | None = None
    is_fraud: Annotated[bool | None, Meta(description="Only in recorded data; never reaches a model.")] = None


rules = [
    Rule(
        "amount_spike",
        "amount_ratio > 3 AND amount > 1000",
        then="review",
        reason="{amount:.2f} is {amount_ratio:.1f} times the {avg_amount_7d:.2f} this customer paid on average in 7 days",
    ),
    Rule(
        "night_high_value",
        "is_night AND amount > 2000",
        then="block",
        reason="{amount:.2f} is a high amount for a payment at night (at {hour_of_day:.0f} o'clock UTC)",
    ),
]


detector = Detector(
    name="banking",
    event=Transaction,
    id="transaction_id",
    time="timestamp",
    headline=("customer_id", "merchant_id"),
    currency="USD",
    label=Label("is_fraud", delay="7d"),
    features=features,
    inputs=inputs,
    words=words,
    models=[LogisticRegression(weight=0.5), XGBoost(weight=0.5, l2=10.0, min_child_weight=3.0)],
    rules=rules,
    policy=Policy(review_at=0.2, block_at=0.8, on_failure="review"),
    naive_times="UTC",
    recorded=adapt,
)
