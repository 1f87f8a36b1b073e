"""What a score is worth on labelled events that it was not trained on.

Frauds are rare, so accuracy says nothing here. `average_precision` and `recall_at_fpr` look at the top of the ranking,
where decisions are made; `card_precision_at` counts what a team that can look into 100 cards a day would find;
`brier` and `ece` ask whether 0.3 means three in ten.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
"""Fraud probabilities, float64 (n,)."""

Truth = NDArray[np.bool_]
"""True where the event was fraud, (n,)."""

BINS = 15
"""Bins of equal width for the expected calibration error."""

CARDS_A_DAY = 100


def evaluate(
    scores: Scores, fraud: Truth, *, threshold: float, day: NDArray[np.int64], card: NDArray[Any]
) -> dict[str, float | None]:
    """Every figure of one score.

    Args:
        scores: fraud probabilities.
        fraud: the truth.
        threshold: from which score on an event counts as stopped, for precision, recall and f1.
        day: the day of each event, any integer numbering.
        card: the key of each event's card or customer.

    Returns:
        By name; null where there is nothing to measure: no events, or all of one class.
    """
    if not 0 < fraud.sum() < len(fraud):
        return dict.fromkeys(NAMES)
    stopped = scores >= threshold
    precision, recall = _precision_recall(stopped, fraud)
    found = {
        "roc_auc": roc_auc(scores, fraud),
        "average_precision": average_precision(scores, fraud),
        "recall_at_fpr_0.001": recall_at_fpr(scores, fraud, 0.001),
        "recall_at_fpr_0.01": recall_at_fpr(scores, fraud, 0.01),
        "card_precision_at_100": card_precision_at(scores, fraud, day, card, CARDS_A_DAY),
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        "brier": float(np.mean((scores - fraud) ** 2)),
        "ece": expected_calibration_error(scores, fraud),
    }
    return {name: round(value, 6) for name, value in found.items()}


NAMES = (
    "roc_auc",
    "average_precision",
    "recall_at_fpr_0.001",
    "recall_at_fpr_0.01",
    "card_precision_at_100",
    "precision",
    "recall",
    "f1",
    "brier",
    "ece",
)


def roc_auc(scores: Scores, fraud: Truth) -> float:
    """The probability that a fraud scores above a good event, ties counting half.

    >>> roc_auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]))
    0.875
    """
    caught, alarms = _curve(scores, fraud)
    return float(np.trapezoid(caught / caught[-1], alarms / alarms[-1]))


def average_precision(scores: Scores, fraud: Truth) -> float:
    """The precision at each fraud found, going down the ranking, averaged over the frauds.

    >>> round(average_precision(np.array([0.9, 0.8, 0.1]), np.array([True, False, True])), 4)
    0.8333
    """
    caught, alarms = _curve(scores, fraud)
    precision = caught[1:] / (caught[1:] + alarms[1:])
    return float(np.sum(np.diff(caught) * precision) / caught[-1])


def recall_at_fpr(scores: Scores, fraud: Truth, rate: float) -> float:
    """The share of frauds found by the lowest threshold that stops at most this share of good events."""
    caught, alarms = _curve(scores, fraud)
    allowed = alarms <= rate * alarms[-1]
    return float(caught[allowed][-1] / caught[-1])


def card_precision_at(scores: Scores, fraud: Truth, day: NDArray[np.int64], card: NDArray[Any], k: int) -> float:
    """Of the k cards with the highest score each day, the share that is fraudulent that day; the mean over days.

    A card that was among them and fraudulent is out of the race on later days. Source: Le Borgne et al., "Reproducible
    Machine Learning for Credit Card Fraud Detection", chapter 4.
    """
    caught: set[Any] = set()
    shares = []
    for today in np.unique(day):
        best: dict[Any, float] = {}
        bad: set[Any] = set()
        for index in np.flatnonzero(day == today):
            key = card[index]
            if key in caught:
                continue
            best[key] = max(best.get(key, -1.0), float(scores[index]))
            if fraud[index]:
                bad.add(key)
        top = sorted(best, key=best.__getitem__, reverse=True)[:k]
        hits = [key for key in top if key in bad]
        caught.update(hits)
        shares.append(len(hits) / k)
    return float(np.mean(shares))


def expected_calibration_error(scores: Scores, fraud: Truth) -> float:
    """How far the probability lies from the share of frauds, on average over bins of equal width."""
    bins = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    said = np.bincount(bins, scores, BINS)
    seen = np.bincount(bins, fraud.astype(np.float64), BINS)
    return float(np.abs(said - seen).sum() / len(scores))


def _precision_recall(stopped: Truth, fraud: Truth) -> tuple[float, float]:
    hits = float((stopped & fraud).sum())
    return hits / max(float(stopped.sum()), 1.0), hits / float(fraud.sum())


def _curve(scores: Scores, fraud: Truth) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frauds caught and good events stopped, at every distinct threshold from the highest down, starting at none."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # the last of each run of equal scores
    caught = np.cumsum(fraud[order], dtype=np.float64)[ends]
    return np.concatenate([[0.0], caught]), np.concatenate([[0.0], ends + 1.0 - caught])


def render(figures: Mapping[str, float | None]) -> str:
    """The figures that a person looks at first, on one line."""
    shown = ("roc_auc", "average_precision", "recall_at_fpr_0.001", "precision", "recall")
    return "  ".join(f"{name} {figures[name]:.3f}" if figures[name] is not None else f"{name} -" for name in shown)
