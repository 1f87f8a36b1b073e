"""Curves of a score, reduced to a few hundred points for a chart."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.outcomes import wilson

Vector = NDArray[np.float64]

POINTS = 150
"""Of a curve, evenly along each of its axes; and as many again among the first false positives."""

EDGES = np.array([1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97, 1.0])
"""Of bins of probability: fine where frauds are told from the rest, from the rarest to the surest."""


class Roc(NamedTuple):
    """The share of frauds found (recall) at each share of good ones flagged (fpr), from none to all."""

    fpr: list[float]
    recall: list[float]


class PrecisionRecall(NamedTuple):
    """Precision at each recall."""

    recall: list[float]
    precision: list[float]


def roc(score: Vector, y: Vector) -> Roc:
    """The curve through every distinct score, thinned out.

    >>> roc(np.array([0.9, 0.8, 0.1]), np.array([1.0, 0.0, 0.0]))
    Roc(fpr=[0.0, 0.0, 0.5, 1.0], recall=[0.0, 1.0, 1.0, 1.0])
    """
    found, flagged = down_the_scores(score, y)
    recall, fpr = found / max(found[-1], 1), (flagged - found) / max(flagged[-1] - found[-1], 1)
    recall, fpr = np.append(0.0, recall), np.append(0.0, fpr)
    first = fpr[fpr > 0].min(initial=1.0)
    chosen = [*_evenly(fpr), *_evenly(recall), *np.searchsorted(fpr, np.geomspace(first, 1, POINTS))]
    kept = np.unique(np.clip(chosen, 0, len(fpr) - 1))
    return Roc(fpr[kept].tolist(), recall[kept].tolist())


def precision_recall(score: Vector, y: Vector) -> PrecisionRecall:
    """The curve through every distinct score, thinned out; it has no point where nothing is flagged.

    >>> precision_recall(np.array([0.9, 0.8, 0.1]), np.array([1.0, 0.0, 1.0]))
    PrecisionRecall(recall=[0.5, 0.5, 1.0], precision=[1.0, 0.5, 0.6666666666666666])
    """
    found, flagged = down_the_scores(score, y)
    recall, precision = found / max(found[-1], 1), found / flagged
    kept = np.unique([*_evenly(recall), *np.linspace(0, len(recall) - 1, POINTS).astype(np.intp)])
    return PrecisionRecall(recall[kept].tolist(), precision[kept].tolist())


def _evenly(rising: Vector) -> NDArray[np.intp]:
    """Where a curve that rises from 0 to 1 passes evenly spaced heights."""
    return np.clip(np.searchsorted(rising, np.linspace(0, 1, POINTS)), 0, len(rising) - 1)


def down_the_scores(score: Vector, y: Vector) -> tuple[Vector, Vector]:
    """Frauds and rows at or above each distinct score, highest first."""
    order = np.argsort(-score, kind="stable")
    last = np.append(np.diff(score[order]) != 0, True)
    return np.cumsum(y[order])[last], (np.flatnonzero(last) + 1).astype(np.float64)


def reliability(score: Vector, y: Vector) -> list[dict[str, Any]]:
    """Mean score (`said`) and share of fraud (`true`) for each bin of EDGES with rows; equal for calibrated scores. With 95 %
    intervals (Wilson 1927), and counts of rows and frauds.
    """
    which = np.searchsorted(EDGES, score, side="right")
    found = []
    for at in np.unique(which):
        inside = which == at
        rows, frauds = int(inside.sum()), float(y[inside].sum())
        low, high = wilson(frauds, rows)
        found.append(
            {
                "said": float(score[inside].mean()),
                "true": frauds / rows,
                "low": low,
                "high": high,
                "rows": rows,
                "frauds": int(frauds),
            }
        )
    return found


def distribution(score: Vector, y: Vector) -> list[dict[str, Any]]:
    """For each bin of EDGES: from, to, and the share of all frauds and of all good ones whose score lies there."""
    edges = np.concatenate([[0.0], EDGES])
    which = np.clip(np.searchsorted(EDGES, score, side="right"), 0, len(EDGES) - 1)
    counts = {name: np.bincount(which[y == value], minlength=len(EDGES)) for name, value in (("fraud", 1.0), ("good", 0.0))}
    shares = {name: count / max(count.sum(), 1) for name, count in counts.items()}
    return [
        {
            "from": float(edges[at]),
            "to": float(edges[at + 1]),
            "fraud": float(shares["fraud"][at]),
            "good": float(shares["good"][at]),
        }
        for at in range(len(EDGES))
    ]
