"""Payments by users, judged by how unusual they are, by what was fraud before, and by three rules."""

from penstock import Detector, IsolationForest, Label, Policy, XGBoost
from penstock.detectors.payments.event import Payment
from penstock.detectors.payments.features import features, inputs, words
from penstock.detectors.payments.recorded import adapt
from penstock.detectors.payments.rules import rules

detector = Detector(
    name="payments",
    event=Payment,
    id="transaction_id",
    time="timestamp",
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
