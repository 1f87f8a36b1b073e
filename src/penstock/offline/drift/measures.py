"""Distances between two binned distributions, and the distance that chance alone produces.

The measures are exact on the bins. All take arrays of counts whose last axis are the bins, and broadcast over the others.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_EMPTY = 0.5
"""Rows that every bin is given beforehand, so that an empty one has a logarithm (Jeffreys' prior)."""


def psi(live: NDArray[Any], training: NDArray[Any]) -> Floats:
    """The population stability index: the sum over bins of (p - q) ln(p / q), the symmetric Kullback-Leibler divergence.

    Kullback and Leibler, "On information and sufficiency" (1951); as an index of scorecards, N. Siddiqi, "Credit risk
    scorecards" (2006), who takes less than 0.1 for no change and more than 0.25 for a large one. Bins that are empty in
    both do not count.

    >>> round(float(psi(np.array([60, 40]), np.array([500, 500]))), 3)
    0.04
    """
    p, q, used = _shares(live, training)
    terms = np.where(used, (p - q) * (np.log(np.where(used, p, 1.0)) - np.log(np.where(used, q, 1.0))), 0.0)
    result: Floats = terms.sum(axis=-1)
    return result


def _shares(live: NDArray[Any], training: NDArray[Any]) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    live, training = np.broadcast_arrays(live, training)
    used = (live > 0) | (training > 0)
    p, q = ((counts + _EMPTY) * used for counts in (live, training))
    return p / np.maximum(p.sum(axis=-1, keepdims=True), 1), q / np.maximum(q.sum(axis=-1, keepdims=True), 1), used


def ks(live: NDArray[Any], training: NDArray[Any]) -> Floats:
    """Kolmogorov-Smirnov: the largest distance between the two cumulative shares; what is missing (bin 0) is left out.

    >>> round(float(ks(np.array([5, 60, 40]), np.array([0, 500, 500]))), 3)
    0.1
    """
    live, training = np.broadcast_arrays(live[..., 1:], training[..., 1:])
    cumulated = [np.cumsum(each, axis=-1) / np.maximum(each.sum(axis=-1, keepdims=True), 1) for each in (live, training)]
    either = (live.sum(axis=-1) > 0) & (training.sum(axis=-1) > 0)
    result: Floats = np.where(either, np.abs(cumulated[0] - cumulated[1]).max(axis=-1, initial=0.0), 0.0)
    return result


def js(live: NDArray[Any], training: NDArray[Any]) -> Floats:
    """Jensen-Shannon: the mean divergence from the mixture of both, in bits, from 0 (alike) to 1 (nothing in common).

    J. Lin, "Divergence measures based on the Shannon entropy" (1991).

    >>> float(js(np.array([10, 0]), np.array([0, 10])))
    1.0
    """
    live, training = np.broadcast_arrays(live, training)
    p, q = (each / np.maximum(each.sum(axis=-1, keepdims=True), 1) for each in (live, training))
    middle = (p + q) / 2
    result: Floats = (_divergence(p, middle) + _divergence(q, middle)) / 2
    return result


def _divergence(p: Floats, middle: Floats) -> Floats:
    held = p > 0
    result: Floats = np.where(held, p * np.log2(np.where(held, p, 1.0) / np.where(held, middle, 1.0)), 0.0).sum(axis=-1)
    return result


def by_chance(live_rows: Floats, training_rows: Floats, bins: Sequence[int] | NDArray[np.int64], alpha: float) -> Floats:
    """The index that chance alone exceeds with probability alpha, where rows are independent of one another.

    Under one distribution the index is close to (1/n + 1/m) times chi-squared with bins - 1 degrees of freedom: B. Yurdakul,
    J. Naranjo, "Statistical properties of the population stability index", Journal of Risk Model Validation 14 (2020).
    """
    freedom = np.maximum(np.asarray(bins, np.float64) - 1, 1.0)
    spread = 1 / np.maximum(live_rows, 1) + 1 / np.maximum(training_rows, 1)
    result: Floats = spread * chi_squared(freedom, alpha)
    return result


def chi_squared(freedom: Floats, alpha: float) -> Floats:
    """The value that chi-squared exceeds with probability alpha, by the approximation of Wilson and Hilferty (1931).

    >>> round(float(chi_squared(np.array(10.0), 0.05)), 1)
    18.3
    """
    normal = NormalDist().inv_cdf(1 - alpha)
    ninth = 2 / (9 * freedom)
    result: Floats = freedom * (1 - ninth + normal * np.sqrt(ninth)) ** 3
    return result


def finite(value: float) -> float | None:
    """Replace NaN and infinities, which JSON cannot hold, by None."""
    return value if math.isfinite(value) else None
