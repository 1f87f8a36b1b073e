"""Purchases in an online shop: an account, a device, an address, and how long ago the account was opened.

Judged by two models and a few rules.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from penstock import Detector, Label, LogisticRegression, Policy, Rule, XGBoost
from penstock.config import load_settings
from penstock.detector import Apart, Recipe
from penstock.detectors.ecommerce.features import features, inputs, looked_up, words
from penstock.detectors.ecommerce.recorded import adapt

__all__ = ["Purchase", "declare", "detector"]


class Purchase(msgspec.Struct, kw_only=True):
    """A user who signed up some time ago buys something, from a device and an address."""

    transaction_id: Annotated[str | None, Meta(description="Made where it is missing.")] = None
    user_id: Annotated[int, Meta(description="Who buys.")]
    signup_time: Annotated[datetime | None, Meta(description="When the user signed up.")] = None
    purchase_time: Annotated[datetime, Meta(description="When it is bought.")]
    purchase_value: Annotated[float, Meta(ge=0, le=1e12, description="In the one currency of all amounts.")]
    device_id: Annotated[str | None, Meta(description="With which it is bought.")] = None
    source: Annotated[str | None, Meta(description="How the user came: SEO, Ads, Direct.")] = None
    browser: Annotated[str | None, Meta(description="Its name, such as Chrome.")] = None
    sex: Annotated[str | None, Meta(description="M or F.")] = None
    age: Annotated[float, Meta(ge=0, le=150, description="Of the user, in years.")] | None = None
    ip_address: Annotated[float, Meta(ge=0, lt=4294967296, description="An IPv4 address as a number.")] | None = None
    fraud: Annotated[bool | None, Meta(description="Only in recorded data; never reaches a model.")] = msgspec.field(
        name="class", default=None
    )


rules = [
    Rule(
        "device_farm",
        "device_users_24h >= 3 AND bought_at_once",
        then="block",
        reason="{device_users_24h:.0f} accounts bought on this device within 24 hours, this one"
        " {time_setup_to_txn_seconds:.0f} s after it was opened",
    ),
    Rule(
        "shared_device",
        "device_users_24h >= 4",
        then="review",
        reason="{device_users_24h:.0f} accounts bought on this device within 24 hours",
    ),
    Rule(
        "device_with_frauds",
        "device_fraud_rate >= 0.5 AND txn_count >= 3",
        then="review",
        reason="{device_fraud_rate:.0%} of what was bought on this device until a week ago was fraud",
    ),
]


recipe = Recipe(
    rows=50_000,
    hold_out=5_000,
    folds=3,
    trials=4,
    imbalance="smote",
    apart=Apart("the January burst", before=datetime(2015, 2, 1, tzinfo=UTC)),
)
"""The training recipe of the public Fraud_Data file: split by number of purchases, as the file is commonly used.

Purchases within a minute of signing up are all fraud, and all of them were made in January 2015. They are an episode, not
a habit, so every figure is given with and without them.
"""


def declare(lookups: Path | None) -> Detector:
    """The detector, with country and gross domestic product looked up in the files of that folder, if one is given."""
    return Detector(
        name="ecommerce",
        event=Purchase,
        id="transaction_id",
        time="purchase_time",
        headline=("user_id", None, "device_id"),
        currency="USD",
        label=Label("class", delay="7d"),
        features=[*features, *looked_up(lookups)],
        inputs=inputs,
        words=words,
        models=[LogisticRegression(weight=0.5), XGBoost(weight=0.5)],
        rules=rules,
        policy=Policy(review_at=0.5, block_at=0.8, on_failure="review"),
        naive_times="UTC",
        recorded=adapt,
        training=recipe,
    )


settings = load_settings()
detector = declare(settings.lookups)
