"""Thinning: of near-equal features the cheapest stays, and of the rest as many as add something."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.offline.suggest.blocks import Cost
from penstock.offline.suggest.screening import Matrix

NEARLY_EQUAL = 0.98
"""The rank correlation from which two features count as one."""
WORTH = 0.002
"""Average precision that fewer features may cost."""
SIZES = (4, 8, 12, 16, 24, 32, 48, 64, 96)
"""Numbers of features that are compared."""
_ROWS = 20_000


def cheapest_of_equals(
    names: Sequence[str], x: Matrix, strength: Mapping[str, float], costs: Mapping[str, Cost], seed: int
) -> dict[str, str]:
    """Of features that nearly rank alike, the one that takes least memory, then time: for each name the one that stands for it.

    strength: groups form around the strongest first.
    """
    ranks = _ranks(x, seed)
    order = sorted(range(len(names)), key=lambda at: -strength[names[at]])
    alike = np.abs(ranks.T @ ranks) >= NEARLY_EQUAL
    stands: dict[str, str] = {}
    for leader in order:
        if names[leader] in stands:
            continue
        group = [at for at in order if alike[leader, at] and names[at] not in stands]
        chosen = min({leader, *group}, key=lambda at: (costs[names[at]].bytes, costs[names[at]].ns, names[at]))
        stands |= {names[at]: names[chosen] for at in {leader, *group}}
    return stands


def _ranks(x: Matrix, seed: int) -> NDArray[np.float64]:
    """Columns of ranks with mean 0 and length 1; a missing value ranks below all others."""
    rows = np.random.default_rng([seed, 3]).permutation(len(x))[:_ROWS]
    ranks = pl.from_numpy(np.nan_to_num(x[rows], nan=-np.inf)).select(pl.all().rank()).to_numpy().copy()
    ranks -= ranks.mean(axis=0)
    length = np.sqrt((ranks * ranks).sum(axis=0))
    return ranks / np.where(length > 0, length, 1.0)


def smallest_enough(worth: Mapping[int, float]) -> int:
    """The smallest number of features that is worth nearly as much as the best.

    >>> smallest_enough({4: 0.90, 8: 0.9295, 16: 0.93, 32: 0.9305})
    8
    """
    best = max(worth.values())
    return min(size for size, reached in worth.items() if reached >= best - WORTH)
