"""Purchases in an online shop, judged by two models and a few rules."""

from penstock import Detector, Label, LogisticRegression, Policy, XGBoost
from penstock.detectors.ecommerce.event import Purchase
from penstock.detectors.ecommerce.features import features
from penstock.detectors.ecommerce.recorded import adapt
from penstock.detectors.ecommerce.rules import rules

detector = Detector(
    name="ecommerce",
    event=Purchase,
    id="transaction_id",
    time="purchase_time",
    label=Label("class", delay="7d"),
    features=features,
    models=[LogisticRegression(weight=0.5), XGBoost(weight=0.5)],
    rules=rules,
    policy=Policy(review_at=0.5, block_at=0.8, on_failure="review"),
    naive_times="UTC",
    recorded=adapt,
)
