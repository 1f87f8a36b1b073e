"""How fraud teams measure a model: ranking, what it finds at a price, and whether its probabilities are true.

`y` is 1.0 for fraud, 0.0 for good; `score` rises with suspicion, ties count as ties. A figure that the data cannot give
(no fraud, no good one) is NaN, never a guess.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.models.port import Vector


def roc_auc(score: Vector, y: Vector) -> float:
    """The chance that a fraud scores above a good one (a tie counts half).

    >>> roc_auc(np.array([0.1, 0.9, 0.5]), np.array([0.0, 1.0, 0.0]))
    1.0
    """
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    frauds = y.sum()
    goods = len(y) - frauds
    if not frauds or not goods:
        return float("nan")
    return float((rank[y > 0].sum() - frauds * (frauds + 1) / 2) / (frauds * goods))


def average_precision(score: Vector, y: Vector) -> float:
    """Precision averaged over the frauds found, going down the scores (without interpolation)."""
    if not y.sum():
        return float("nan")
    found, flagged = _down_the_scores(score, y)
    return float((np.diff(found, prepend=0) / y.sum() * (found / flagged)).sum())


def recall_at_fpr(score: Vector, y: Vector, fpr: float) -> float:
    """The largest share of frauds at or above a threshold that no more than `fpr` of the good ones reach."""
    frauds = y.sum()
    if not frauds or frauds == len(y):
        return float("nan")
    found, flagged = _down_the_scores(score, y)
    allowed = (flagged - found) / (len(y) - frauds) <= fpr
    return float(found[allowed].max(initial=0) / frauds)


def precision_recall_f1(score: Vector, y: Vector, threshold: float) -> tuple[float, float, float]:
    """Of the rows at or above the threshold; precision is NaN where there are none, recall where there is no fraud."""
    flagged = score >= threshold
    found = float(y[flagged].sum())
    precision = found / flagged.sum() if flagged.any() else float("nan")
    recall = found / y.sum() if y.sum() else float("nan")
    return precision, recall, 2 * found / (flagged.sum() + y.sum()) if flagged.sum() + y.sum() else float("nan")


def brier(score: Vector, y: Vector) -> float:
    """The mean squared distance between probability and outcome."""
    return float(((score - y) ** 2).mean()) if len(y) else float("nan")


def ece(score: Vector, y: Vector, bins: int = 15) -> float:
    """Expected calibration error: the mean distance between probability and share of fraud, over bins of equal width.

    Source: Guo et al., "On calibration of modern neural networks" (2017).
    """
    if not len(y):
        return float("nan")
    which = np.clip((score * bins).astype(np.int64), 0, bins - 1)
    gap = np.bincount(which, score, bins) - np.bincount(which, y, bins)
    return float(np.abs(gap).sum() / len(y))


def card_precision_at_k(day: NDArray[Any], customer: NDArray[Any], score: Vector, y: Vector, k: int = 100) -> float:
    """The share of compromised customers among the k most suspicious ones of a day, averaged over the days.

    Each day counts each customer once, with the highest score; customers caught on an earlier day (among its k, and
    with fraud that day) are left out. Source: Le Borgne et al., "Reproducible machine learning for credit card fraud
    detection" (2022).

    >>> day, customer = np.array([0, 0, 1, 1]), np.array([1, 2, 1, 2])
    >>> card_precision_at_k(day, customer, np.array([0.9, 0.1, 0.9, 0.5]), np.array([1.0, 0.0, 1.0, 0.0]), k=1)
    0.5
    """
    caught: NDArray[Any] = customer[:0]
    shares = []
    for today in np.unique(day):
        rows = np.flatnonzero((day == today) & ~np.isin(customer, caught))
        customers, inverse = np.unique(customer[rows], return_inverse=True)
        highest, compromised = np.full(len(customers), -np.inf), np.zeros(len(customers))
        np.maximum.at(highest, inverse, score[rows])
        np.maximum.at(compromised, inverse, y[rows])
        top = np.argsort(-highest, kind="stable")[:k]
        shares.append(compromised[top].sum() / k)
        caught = np.concatenate([caught, customers[top][compromised[top] > 0]])
    return float(np.mean(shares)) if shares else float("nan")


def figures(
    score: Vector,
    y: Vector,
    *,
    threshold: float,
    day: NDArray[Any] | None = None,
    customer: NDArray[Any] | None = None,
) -> dict[str, float | None]:
    """Everything `penstock train --json` promises about one score column; None where the data cannot say.

    threshold: what precision, recall and F1 are taken at (the detector's `review_at`). day, customer: (n,) of any type
    that sorts; without them there is no card precision.
    """
    precision, recall, f1 = precision_recall_f1(score, y, threshold)
    by_card = card_precision_at_k(day, customer, score, y) if day is not None and customer is not None else float("nan")
    values = {
        "roc_auc": roc_auc(score, y),
        "average_precision": average_precision(score, y),
        "recall_at_fpr_0.001": recall_at_fpr(score, y, 0.001),
        "recall_at_fpr_0.01": recall_at_fpr(score, y, 0.01),
        "card_precision_at_100": by_card,
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "brier": brier(score, y),
        "ece": ece(score, y),
    }
    return {name: None if np.isnan(value) else float(value) for name, value in values.items()}


def choose_thresholds(score: Vector, y: Vector, *, review_fpr: float = 0.01, block_precision: float = 0.9) -> dict[str, float]:
    """Where to review and where to block, for policies that leave it open; scores are calibrated probabilities.

    review_at: the lowest score at which no more than `review_fpr` of the good ones are reviewed, yet not below the share
    of fraud among all rows: nobody reviews what is less suspicious than the average. block_at: the lowest score from
    which on at least `block_precision` are fraud, over at least ten frauds; where validation rows cannot show that, the
    probability `block_precision` itself, taken at its word. Never below review_at.
    """
    goods = np.sort(score[y == 0])
    review_at = 0.5
    if len(goods):
        first_spared = goods[-1 - min(int(review_fpr * len(goods)), len(goods) - 1)]
        review_at = max(float(np.nextafter(first_spared, 1.0)), float(y.mean()))
    found, flagged = _down_the_scores(score, y)
    pure = np.flatnonzero((found >= 10) & (found / flagged >= block_precision))
    distinct = np.unique(score)[::-1]
    block_at = float(distinct[pure[-1]]) if len(pure) else block_precision
    return {"review_at": review_at, "block_at": max(review_at, block_at)}


def _down_the_scores(score: Vector, y: Vector) -> tuple[Vector, Vector]:
    """Frauds and rows at or above each distinct score, from the highest down."""
    distinct, inverse = np.unique(-score, return_inverse=True)
    return np.cumsum(np.bincount(inverse, y, len(distinct))), np.cumsum(np.bincount(inverse, minlength=len(distinct))).astype(
        float
    )
