"""Purchases in an online shop, judged by two models and a few rules."""

from pathlib import Path

from penstock import Detector, Label, LogisticRegression, Policy, XGBoost
from penstock.config import load_settings
from penstock.detectors.ecommerce.event import Purchase
from penstock.detectors.ecommerce.features import features, inputs, looked_up, words
from penstock.detectors.ecommerce.recipe import recipe
from penstock.detectors.ecommerce.recorded import adapt
from penstock.detectors.ecommerce.rules import rules


def declare(lookups: Path | None) -> Detector:
    """The detector, with country and gross domestic product looked up in the files of that folder, if one is given."""
    return Detector(
        name="ecommerce",
        event=Purchase,
        id="transaction_id",
        time="purchase_time",
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
