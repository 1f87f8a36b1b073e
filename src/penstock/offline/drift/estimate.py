"""Estimates of model quality before labels arrive, from calibrated scores.

Where a score p is a calibrated probability, a share p of the rows with that score is fraud. So a flagged row is p of a
caught fraud and 1 - p of a false alarm, an unflagged one p of a missed fraud: from these expected counts follow precision,
recall and the area under the ROC curve (confidence-based performance estimation: NannyML's documentation, "Performance
estimation"; J. Białek and others, "Estimating model performance under covariate shift without labels", 2024). The estimate
is valid while scores stay calibrated: if the same payments become fraud more often than before, only labels show it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_EDGES = 1 / (1 + np.exp(-np.linspace(-10, 6, 97)))
"""Of the bins that the area under the curve is made of: every sixth of a unit of log-odds."""

_N, _P, _FLAGGED_N, _FLAGGED_P, _STOPPED_N, _STOPPED_P = range(6)
_GRID = len(_EDGES) + 1
PARTS = 6 + 2 * _GRID
"""How many sums there are: rows and their scores, of all, of those flagged, of those stopped, and in each bin."""


def sums_of(score: Floats, stopped: NDArray[np.bool_] | None, place: NDArray[np.intp], places: int, review_at: float) -> Floats:
    """Sums (places, PARTS) over rows that have a score; place: of each row. Sums add up."""
    known = ~np.isnan(score)
    score, place = score[known], place[known]
    flagged = score >= review_at
    halted = np.zeros(len(score), np.bool_) if stopped is None else stopped[known]
    found = np.zeros((places, PARTS))
    for at, chosen in ((_N, slice(None)), (_FLAGGED_N, flagged), (_STOPPED_N, halted)):
        rows: Any = chosen
        found[:, at] = np.bincount(place[rows], minlength=places)
        found[:, at + 1] = np.bincount(place[rows], weights=score[rows], minlength=places)
    bins = place * _GRID + np.searchsorted(_EDGES, score, side="right")
    found[:, 6 : 6 + _GRID] = np.bincount(bins, minlength=places * _GRID).reshape(places, _GRID)
    found[:, 6 + _GRID :] = np.bincount(bins, weights=score, minlength=places * _GRID).reshape(places, _GRID)
    return found


def figures(sums: Floats) -> dict[str, float | None]:
    """Quality figures from sums: `rows`, `fraud_rate`, `frauds`, `flagged`, `precision` and `recall` of rows that the score
    flags, `stopped`, `stopped_precision` and `stopped_recall` of rows that were not approved, `roc_auc`. None where a
    figure cannot be computed.
    """
    n, p = float(sums[_N]), float(sums[_P])
    return {
        "rows": n,
        "frauds": p,
        "fraud_rate": _ratio(p, n),
        "flagged": float(sums[_FLAGGED_N]),
        "precision": _ratio(float(sums[_FLAGGED_P]), float(sums[_FLAGGED_N])),
        "recall": _ratio(float(sums[_FLAGGED_P]), p),
        "stopped": float(sums[_STOPPED_N]),
        "stopped_precision": _ratio(float(sums[_STOPPED_P]), float(sums[_STOPPED_N])),
        "stopped_recall": _ratio(float(sums[_STOPPED_P]), p),
        "roc_auc": _area(sums[6 : 6 + _GRID], sums[6 + _GRID :]),
    }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _area(rows: Floats, frauds: Floats) -> float | None:
    """The probability that a fraud scores higher than a good event; within a bin one half."""
    good = rows - frauds
    if frauds.sum() <= 0 or good.sum() <= 0:
        return None
    below = np.cumsum(good) - good
    return float((frauds * (below + good / 2)).sum() / (frauds.sum() * good.sum()))
