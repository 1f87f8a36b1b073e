"""Payments by bank customers, judged by two models and two rules."""

from penstock import Detector, Label, LogisticRegression, Policy, XGBoost
from penstock.detectors.banking.event import Transaction
from penstock.detectors.banking.features import features, inputs, words
from penstock.detectors.banking.recorded import adapt
from penstock.detectors.banking.rules import rules

detector = Detector(
    name="banking",
    event=Transaction,
    id="transaction_id",
    time="timestamp",
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
