"""Model quality metrics: ranking, detection at a cost, and calibration.

`y` is 1.0 for fraud, 0.0 for good; `score` rises with suspicion, ties count as ties. A figure without the data it needs (no
fraud, no good event) is NaN.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.models.port import Vector
from penstock.outcomes import Rate, known_rate


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
    found, flagged = counts_by_score(score, y)
    return float((np.diff(found, prepend=0) / y.sum() * (found / flagged)).sum())


def recall_at_fpr(score: Vector, y: Vector, fpr: float) -> float:
    """The largest share of frauds at or above a threshold that no more than `fpr` of the good ones reach."""
    frauds = y.sum()
    if not frauds or frauds == len(y):
        return float("nan")
    found, flagged = counts_by_score(score, y)
    allowed = (flagged - found) / (len(y) - frauds) <= fpr
    return float(found[allowed].max(initial=0) / frauds)


def precision_recall_f1(score: Vector, y: Vector, threshold: float) -> tuple[float, float, float]:
    """Figures of the rows at or above the threshold; precision is NaN without such rows, recall without fraud."""
    flagged = score >= threshold
    found = float(y[flagged].sum())
    precision = found / flagged.sum() if flagged.any() else float("nan")
    recall = found / y.sum() if y.sum() else float("nan")
    return precision, recall, 2 * found / (flagged.sum() + y.sum()) if flagged.sum() + y.sum() else float("nan")


def known_rates(score: Vector, y: Vector, threshold: float) -> dict[str, Rate]:
    """Precision and recall of the rows at or above the threshold, with counts and intervals: see `penstock.outcomes`."""
    flagged = score >= threshold
    found, frauds = int(y[flagged].sum()), int(y.sum())
    return {"precision": known_rate(found, int(flagged.sum())), "recall": known_rate(found, frauds)}


def value_detection_rate(score: Vector, y: Vector, amount: Vector, threshold: float) -> float:
    """The share of the frauds' amount at or above the threshold; a missing amount counts 0.

    >>> value_detection_rate(np.array([0.9, 0.1]), np.array([1.0, 1.0]), np.array([300.0, 100.0]), 0.5)
    0.75
    """
    worth = y * np.nan_to_num(amount)
    return float(worth[score >= threshold].sum() / worth.sum()) if worth.sum() else float("nan")


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
    amount: Vector | None = None,
) -> dict[str, float | None]:
    """All figures about one score column that `penstock train --json` prints; None where they cannot be computed.

    threshold: what precision, recall, F1 and the value detection rate are taken at (the detector's `review_at`); the first
    three are None below 30 known outcomes (`penstock.outcomes`). day,
    customer: (n,) of any type that sorts; without them there is no card precision. amount: what each event is worth;
    without it there is no value detection rate.
    """
    nothing = float("nan")
    rates = known_rates(score, y, threshold)
    precision, recall = (nothing if each.value is None else each.value for each in rates.values())
    f1 = nothing if np.isnan(precision + recall) else precision_recall_f1(score, y, threshold)[2]
    by_card = card_precision_at_k(day, customer, score, y) if day is not None and customer is not None else nothing
    by_value = value_detection_rate(score, y, amount, threshold) if amount is not None else nothing
    values = {
        "roc_auc": roc_auc(score, y),
        "average_precision": average_precision(score, y),
        "recall_at_fpr_0.001": recall_at_fpr(score, y, 0.001),
        "recall_at_fpr_0.01": recall_at_fpr(score, y, 0.01),
        "recall_at_fpr_0.05": recall_at_fpr(score, y, 0.05),
        "card_precision_at_100": by_card,
        "value_detection_rate": by_value,
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "brier": brier(score, y),
        "ece": ece(score, y),
    }
    return {name: None if np.isnan(value) else float(value) for name, value in values.items()}


def intervals(
    score: Vector, y: Vector, group: NDArray[Any] | None = None, *, draws: int = 200, confidence: float = 0.95, seed: int = 0
) -> dict[str, tuple[float, float] | None]:
    """95 % bootstrap percentile intervals of the ranking figures.

    Whole groups (n,) are drawn, so that the ten frauds of one stolen card count as one chance; rows, without groups. None
    where the rows hold one class only. Source: the Poisson bootstrap of Chamandy et al., "Estimating uncertainty for
    massive data streams" (2012).

    >>> low, high = intervals(np.array([0.1, 0.9, 0.5, 0.3]), np.array([0.0, 1.0, 0.0, 0.0]))["roc_auc"]
    >>> low == high == 1.0
    True
    """
    rng = np.random.default_rng(seed)
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True)) if len(order) else order
    _, member = np.unique(np.arange(len(y)) if group is None else group, return_inverse=True)
    member, fraud = member[order], y[order]
    drawn = []
    for _ in range(draws if 0 < y.sum() < len(y) else 0):
        heavy = rng.poisson(1.0, member.max() + 1).astype(np.float64)[member]
        found, flagged = np.cumsum(heavy * fraud)[ends], np.cumsum(heavy)[ends]
        if 0 < found[-1] < flagged[-1]:
            drawn.append(ranking_figures(found, flagged))
    tails = [100 * (1 - confidence) / 2, 100 * (1 + confidence) / 2]
    if not drawn:
        return dict.fromkeys(RANKING)
    low, high = np.percentile(np.array(drawn), tails, axis=0)
    return {name: (float(low[at]), float(high[at])) for at, name in enumerate(RANKING)}


RANKING = ("roc_auc", "average_precision", "recall_at_fpr_0.001", "recall_at_fpr_0.01", "recall_at_fpr_0.05")
"""The figures that `intervals` draws."""


def ranking_figures(found: Vector, flagged: Vector) -> list[float]:
    """The figures of RANKING from frauds and rows (or their weights) at or above each distinct score, highest first."""
    frauds, good = found[-1], flagged - found
    more_found, more_good = np.diff(found, prepend=0), np.diff(good, prepend=0)
    auc = (more_good * (found - more_found / 2)).sum() / (frauds * good[-1])
    precision = np.divide(found, flagged, out=np.zeros_like(found), where=flagged > 0)
    recalls = [found[good / good[-1] <= fpr].max(initial=0) / frauds for fpr in (0.001, 0.01, 0.05)]
    return [float(auc), float((more_found * precision).sum() / frauds), *map(float, recalls)]


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
    found, flagged = counts_by_score(score, y)
    pure = np.flatnonzero((found >= 10) & (found / flagged >= block_precision))
    distinct = np.unique(score)[::-1]
    block_at = float(distinct[pure[-1]]) if len(pure) else block_precision
    return {"review_at": review_at, "block_at": max(review_at, block_at)}


def counts_by_score(score: Vector, y: Vector) -> tuple[Vector, Vector]:
    """Frauds and rows at or above each distinct score, from the highest down."""
    distinct, inverse = np.unique(-score, return_inverse=True)
    return np.cumsum(np.bincount(inverse, y, len(distinct))), np.cumsum(np.bincount(inverse, minlength=len(distinct))).astype(
        float
    )
