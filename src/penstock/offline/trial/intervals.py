"""Confidence intervals of differences and sums of a trial; `penstock.outcomes` has those of shares."""

import math
from collections.abc import Sequence

import numpy as np

from penstock.offline.trial.result import Amount
from penstock.outcomes import Rate, Z

_DRAWS, _SEED = 1000, 0


def paired(more: int, fewer: int, whole: int) -> Rate:
    """The difference of two shares of the same events: `more` that only the second has, `fewer` that only the first has.

    The interval is McNemar's: events that both have or lack do not affect it.

    >>> found = paired(30, 10, 1000)
    >>> found.value, round(found.low, 4), round(found.high, 4)
    (0.02, 0.0077, 0.0323)
    """
    if not whole:
        return Rate(None, None, None, 0)
    value = (more - fewer) / whole
    half = Z * math.sqrt(max(0.0, more + fewer - (more - fewer) ** 2 / whole)) / whole
    return Rate(value, value - half, value + half, whole, more - fewer)


def resampled(values: Sequence[float]) -> Amount:
    """The sum over periods, with its bootstrap interval over periods; the same on every run.

    >>> resampled([10.0, 10.0]).low
    20.0
    """
    found = np.array(values, np.float64)
    total = round(float(found.sum()), 2) + 0.0
    if len(found) < 2:
        return Amount(total, total, total)
    drawn = np.random.default_rng(_SEED).integers(0, len(found), size=(_DRAWS, len(found)))
    low, high = np.percentile(found[drawn].sum(axis=1), [2.5, 97.5])
    return Amount(total, round(float(low), 2), round(float(high), 2))
