"""Mobile money, judged by gradient boosting and two rules."""

from penstock import Detector, GradientBoosting, Label, Policy
from penstock.detectors.mobile_money.event import START, Movement
from penstock.detectors.mobile_money.features import features, inputs, words
from penstock.detectors.mobile_money.recorded import adapt
from penstock.detectors.mobile_money.rules import rules
from penstock.ingest import Steps

detector = Detector(
    name="mobile_money",
    event=Movement,
    id="transaction_id",
    time="timestamp",
    steps=Steps("step", every="1h", start=START),
    label=Label("isFraud", delay="7d"),
    features=features,
    inputs=inputs,
    words=words,
    models=[GradientBoosting(trees=200, depth=6, learning_rate=0.05, features=0.3, min_leaf=5, imbalance="under")],
    rules=rules,
    policy=Policy(review_at=0.5, block_at=0.8, on_failure="review"),
    naive_times="UTC",
    recorded=adapt,
)
