"""Card payments: an amount, what it is for, when and where; and whatever is known of card, user, device and merchant.

Judged by gradient-boosted trees and three rules. Rules that ask for a review do not fire where the score blocks, so that their
figures tell what they add.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from penstock import Detector, Label, Policy, Rule, XGBoost
from penstock.detectors.card.features import features, inputs, words
from penstock.detectors.card.recorded import adapt

__all__ = ["CardPayment", "detector"]


class CardPayment(msgspec.Struct, kw_only=True):
    """A card pays for something somewhere; all amounts are in one currency."""

    transaction_id: Annotated[str | None, Meta(description="Made where it is missing.")] = None
    timestamp: Annotated[datetime | None, Meta(description="With a time zone; the time of arrival where it is missing.")] = None
    amount: Annotated[float, Meta(ge=0, le=1e12, description="In the one currency of all amounts.")]
    category: Annotated[str, Meta(description="What is sold there; any word will do.")]
    hour: Annotated[int, Meta(ge=0, le=23, description="By the payer's clock; in UTC where it is missing.")] | None = None
    day_of_week: Annotated[int, Meta(ge=0, le=6, description="Monday is 0; in UTC where it is missing.")] | None = None
    latitude: Annotated[float, Meta(ge=-90, le=90, description="Where it is paid: degrees north.")] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180, description="Where it is paid: degrees east.")] | None = None
    user: Annotated[str | None, Meta(description="Who pays.")] = None
    card: Annotated[str | None, Meta(description="Its number: replaced by a token on arrival.")] = None
    device: Annotated[str | None, Meta(description="With which it is paid.")] = None
    merchant: Annotated[str | None, Meta(description="Who is paid.")] = None
    ip: Annotated[str | None, Meta(description="The address it comes from.")] = None
    age: Annotated[float, Meta(ge=0, le=150, description="Of the holder at the time of the payment, in years.")] | None = None
    home_latitude: Annotated[float, Meta(ge=-90, le=90, description="Where the holder lives: degrees north.")] | None = None
    home_longitude: Annotated[float, Meta(ge=-180, le=180, description="Where the holder lives: degrees east.")] | None = None
    city_population: Annotated[float, Meta(ge=0, le=1e9, description="Of where the holder lives.")] | None = None
    is_fraud: Annotated[bool | None, Meta(description="Only in recorded data; never reaches a model.")] = None


_NOT_BLOCKED = "coalesce(score, 0) < 0.8"

rules = [
    Rule(
        "impossible_travel",
        f"km_from_previous > 500 AND km_per_hour > 2000 AND amount > usual_amount AND {_NOT_BLOCKED}",
        then="review",
        reason="{km_from_previous:.0f} km from the card's previous payment, at {km_per_hour:.0f} km/h",
    ),
    Rule(
        "card_testing",
        "amount < 10 AND small_payments_1h >= 5",
        then="block",
        reason="{small_payments_1h:.0f} payments below 10 with this card within an hour",
    ),
    Rule(
        "shared_device",
        f"payers_of_device_24h >= 4 AND {_NOT_BLOCKED}",
        then="review",
        reason="{payers_of_device_24h:.0f} cards were used with this device within 24 hours",
    ),
    # The model compares a payment with the card's earlier ones; without any it knows little of a large one.
    Rule(
        "large_first_at_night",
        f"amount >= 5000 AND is_night AND usual_amount IS NULL AND {_NOT_BLOCKED}",
        then="review",
        reason="{amount:.2f} at night, with a card of which no earlier payment is known",
    ),
]


detector = Detector(
    name="card",
    event=CardPayment,
    id="transaction_id",
    time="timestamp",
    headline=("user", "merchant", "category"),
    currency="USD",
    label=Label("is_fraud", delay="7d"),
    features=features,
    inputs=inputs,
    words=words,
    models=[XGBoost()],
    rules=rules,
    policy=Policy(block_at=0.8, on_failure="review"),
    naive_times="UTC",
    personal=["card"],
    recorded=adapt,
)
