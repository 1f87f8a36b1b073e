"""Label delays: chargebacks come days later or never, and some honest payments are disputed."""

import numpy as np

from penstock.offline.simulate.payments import HONEST, Payments
from penstock.offline.simulate.rhythm import DAY_US

_NEVER_REPORTED = 0.03
_FALSE_DISPUTES_PER_FRAUD = 0.004
_MEDIAN_DELAY_DAYS, _DELAY_SIGMA = 4.5, 0.7
_SHORTEST_DAYS, _LONGEST_DAYS = 0.1, 60.0


def label(stretch: Payments, fraud_rate: float, rng: np.random.Generator) -> None:
    """Fill `reported` and `known_us`: the label of each payment, and when it becomes known."""
    fraud = stretch["attack"] != HONEST
    u = rng.random(len(stretch))
    disputed = ~fraud & (u < fraud_rate * _FALSE_DISPUTES_PER_FRAUD)
    stretch["reported"] = (fraud & (u >= _NEVER_REPORTED)) | disputed
    days = _MEDIAN_DELAY_DAYS * np.exp(_DELAY_SIGMA * rng.standard_normal(len(stretch)))
    delay_us = (np.clip(days, _SHORTEST_DAYS, _LONGEST_DAYS) * DAY_US).astype(np.int64)
    stretch["known_us"] = np.where(stretch["reported"], stretch["time_us"] + delay_us, 0)
