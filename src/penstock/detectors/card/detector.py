"""Card payments, judged by gradient-boosted trees and three rules."""

from penstock import Detector, Label, Policy, XGBoost
from penstock.detectors.card.event import CardPayment
from penstock.detectors.card.features import features, inputs, words
from penstock.detectors.card.recorded import adapt
from penstock.detectors.card.rules import rules

detector = Detector(
    name="card",
    event=CardPayment,
    id="transaction_id",
    time="timestamp",
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
