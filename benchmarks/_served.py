"""The detector that the HTTP benchmark serves: banking with its features and models, and ten rules."""

from penstock import Detector, LogisticRegression, Policy, Rule, XGBoost
from penstock.detectors.banking.event import Transaction
from penstock.detectors.banking.features import features, inputs
from penstock.detectors.banking.recorded import adapt
from penstock.detectors.banking.rules import rules
from penstock.features import Label

more_rules = [
    Rule("many_within_five_minutes", "count_last_5m >= 8", then="review"),
    Rule("many_within_an_hour", "count_last_1h >= 30", then="review"),
    Rule("much_within_a_day", "amount_last_24h > 50000", then="review"),
    Rule("small_payments_in_a_row", "small_payments_last_1h >= 10", then="review"),
    Rule("many_merchants", "merchants_last_1h >= 8", then="review"),
    Rule("faster_than_a_plane", "km_per_hour > 1500 AND km_from_previous > 500", then="review"),
    Rule("crowd_at_a_new_merchant", "is_new_merchant AND merchant_count_1h > 100", then="review"),
    Rule("stranger_with_a_high_amount", "is_stranger AND amount > 20000", then="review"),
]

detector = Detector(
    name="banking",
    event=Transaction,
    id="transaction_id",
    time="timestamp",
    label=Label("is_fraud", delay="7d"),
    features=features,
    inputs=inputs,
    models=[LogisticRegression(weight=0.5), XGBoost(weight=0.5)],
    rules=[*rules, *more_rules],
    policy=Policy(review_at=0.5, block_at=0.8, on_failure="review"),
    naive_times="UTC",
    recorded=adapt,
)
