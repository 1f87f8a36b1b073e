"""Payments by users of a payment service: seventeen signals of pace, device, place, habit and merchant.

Judged by how unusual they are, by what was fraud before, and by three rules, which do not fire where the score blocks, so that
their figures show what they add.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from penstock import Detector, IsolationForest, Label, Policy, Rule, XGBoost
from penstock.detectors.payments.features import features, inputs, words
from penstock.detectors.payments.recorded import adapt

__all__ = ["Payment", "detector"]


class Payment(msgspec.Struct, kw_only=True):
    """A user pays a merchant from some place, with some device; all amounts are in one currency."""

    transaction_id: Annotated[str | None, Meta(description="Made where it is missing.")] = None
    timestamp: Annotated[datetime | None, Meta(description="With a time zone; the time of arrival where it is missing.")] = None
    user_id: Annotated[str, Meta(description="Who pays.")]
    amount: Annotated[float, Meta(ge=0, le=1e12, description="In the one currency of all amounts.")]
    merchant: Annotated[str, Meta(description="Who is paid.")]
    location: Annotated[str | None, Meta(description="A country's name or ISO code, or City, Country.")] = None
    device_id: Annotated[str | None, Meta(description="With which it is paid.")] = None
    transaction_type: Annotated[str | None, Meta(description="online means that the card is not present.")] = None
    is_fraud: Annotated[bool | None, Meta(description="Only in recorded data; never reaches a model.")] = None


_NOT_BLOCKED = "coalesce(score, 0) < 0.8"

rules = [
    Rule(
        "shared_device",
        f"(users_of_device_24h >= 3 OR (users_of_device_24h >= 2 AND is_new_device)) AND {_NOT_BLOCKED}",
        then="review",
        reason="{users_of_device_24h:.0f} users paid with this device within 24 hours",
    ),
    Rule(
        "two_countries",
        f"countries_in_person_2h >= 2 AND NOT card_not_present AND foreign_country AND {_NOT_BLOCKED}",
        then="review",
        reason="paid in person in {countries_in_person_2h:.0f} countries within two hours",
    ),
    Rule(
        "card_testing",
        f"amount < 10 AND small_payments_here_30m >= 5 AND is_new_device AND {_NOT_BLOCKED}",
        then="review",
        reason="{small_payments_here_30m:.0f} payments below 10 to {merchant} within 30 minutes, this one from a new device",
    ),
]


detector = Detector(
    name="payments",
    event=Payment,
    id="transaction_id",
    time="timestamp",
    headline=("user_id", "merchant", "location"),
    currency="USD",
    label=Label("is_fraud", delay="7d"),
    features=features,
    inputs=inputs,
    words=words,
    models=[IsolationForest(weight=0.3, trees=400), XGBoost(weight=0.7)],
    rules=rules,
    policy=Policy(block_at=0.8, on_failure="review"),
    naive_times="UTC",
    recorded=adapt,
)
