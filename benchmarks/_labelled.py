"""The detector of `labels.py`: that of the HTTP benchmark, with features over labels."""

from _workload import NINE, RULES, Payment, customer, merchant, scoring_detector

from penstock import Detector, Label


class Labelled(Payment):
    """A payment that recorded data label."""

    is_fraud: bool | None = None


_scoring = scoring_detector()
detector = Detector(
    "benchmark",
    event=Labelled,
    id="transaction_id",
    time="timestamp",
    label=Label("is_fraud", delay="1d"),
    features=[*NINE, customer.label_count("7d"), merchant.label_rate("30d", delay="1d")],
    models=_scoring.models,
    rules=RULES,
    policy=_scoring.policy,
    naive_times="UTC",
)
