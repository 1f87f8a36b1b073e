"""Feature importance: the mean absolute exact contribution to the score."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.models import Ensemble

ROWS = 4000
"""So many rows at most are explained: half of them the most suspicious, half drawn from the others."""


def importance(
    ensemble: Ensemble, x: NDArray[np.float64], score: NDArray[np.float64], *, seed: int = 0
) -> list[dict[str, Any]]:
    """For each feature, the weightiest first, how far it moves the log-odds: `mean`, over rows drawn from all; `flagged`,
    over the 1 % with the highest scores, where decisions are made; `share` of all features' means; `members`, the
    same within each member's own raw output, as shares.
    """
    rng = np.random.default_rng(seed)
    order = np.argsort(-score, kind="stable")
    top = order[: min(max(len(order) // 100, 1), ROWS // 2)]
    drawn = rng.choice(len(score), min(len(score), ROWS // 2), replace=False)
    mean = np.abs(ensemble.contributions(x[drawn])).mean(axis=0)
    flagged = np.abs(ensemble.contributions(x[top])).mean(axis=0)
    alone = {
        name: _shares(np.abs(each).mean(axis=0))
        for name, each in zip(ensemble.names, ensemble.member_contributions(x[drawn]), strict=True)
    }
    shares = _shares(mean)
    return [
        {
            "feature": ensemble.features[at],
            "mean": float(mean[at]),
            "flagged": float(flagged[at]),
            "share": float(shares[at]),
            "members": {name: float(each[at]) for name, each in alone.items()},
        }
        for at in np.argsort(-mean, kind="stable").tolist()
    ]


def _shares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    total = values.sum()
    return values / total if total else values
