"""How far figures of a trial could be chance."""

import math
from collections.abc import Sequence

import numpy as np

from penstock.offline.trial.result import Amount, Rate

_Z = 1.959963984540054
"""Of 95 per cent."""

_DRAWS, _SEED = 1000, 0


def share(part: float, whole: int) -> Rate:
    """A share with its Wilson interval, which holds for few events and for shares near 0 and 1.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference" (1927).

    >>> found = share(5, 100)
    >>> found.value, round(found.low, 3), round(found.high, 3)
    (0.05, 0.022, 0.112)
    """
    return Rate(None, None, None, 0) if not whole else Rate(part / whole, *_wilson(part / whole, whole), whole)


def _wilson(p: float, n: float) -> tuple[float, float]:
    z2 = _Z * _Z / n
    middle, half = (p + z2 / 2) / (1 + z2), _Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n)) / (1 + z2)
    return max(0.0, middle - half), min(1.0, middle + half)


def weighted(part: Sequence[tuple[int, float]], whole: Sequence[tuple[int, float]]) -> Rate:
    """A share of events of which each stands for so many others: pairs of how many events, and for how many each stands.

    The interval is Wilson's for as many events as say as much when all stand for the same.
    Source: Kish, "Survey Sampling" (1965), for that number.

    >>> found = weighted([(3, 100.0)], [(3, 100.0), (7, 10.0)])
    >>> round(found.value, 3), found.of, found.high - found.low > share(8, 10).high - share(8, 10).low
    (0.811, 10, True)
    """
    weight = sum(n * each for n, each in whole)
    if not weight:
        return Rate(None, None, None, 0)
    value = sum(n * each for n, each in part) / weight
    as_good_as = weight**2 / sum(n * each**2 for n, each in whole)
    return Rate(value, *_wilson(value, as_good_as), sum(n for n, _ in whole))


def paired(more: int, fewer: int, whole: int) -> Rate:
    """The difference of two shares of the same events: `more` that only the second has, `fewer` that only the first has.

    The interval is McNemar's: what both have or lack says nothing of the difference.

    >>> found = paired(30, 10, 1000)
    >>> found.value, round(found.low, 4), round(found.high, 4)
    (0.02, 0.0077, 0.0323)
    """
    if not whole:
        return Rate(None, None, None, 0)
    value = (more - fewer) / whole
    half = _Z * math.sqrt(max(0.0, more + fewer - (more - fewer) ** 2 / whole)) / whole
    return Rate(value, value - half, value + half, whole)


def resampled(values: Sequence[float]) -> Amount:
    """The sum over periods, with the interval that drawing as many periods anew gives; the same on every run.

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
