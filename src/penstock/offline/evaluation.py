"""The test evaluation stored in a bundle, for exploring thresholds later: counts at many thresholds, and two curves.

No row of the test is kept, only sums over hundreds of thousands of rows, or over a few hundred.
"""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.decoding import prepared
from penstock.offline.report.curves import EDGES, down_the_scores, precision_recall
from penstock.outcomes import wilson

Vector = NDArray[np.float64]

MOST_CUTS = 400
"""Thresholds whose counts are kept."""


class Cut(msgspec.Struct, frozen=True):
    """Rows of the test with a score of `at` or more. amount, fraud_amount: their totals, None where events have no amount."""

    at: float
    flagged: int
    frauds: int
    amount: float | None
    fraud_amount: float | None


class Reliable(msgspec.Struct, frozen=True):
    """Rows with a probability in [low, high): the mean probability, and the share of fraud with its 95 % interval."""

    low: float
    high: float
    count: int
    frauds: int
    predicted: float
    observed: float
    observed_low: float
    observed_high: float


class Evaluation(msgspec.Struct, frozen=True):
    """The stored evaluation of a test.

    days: how many days of traffic it stands for, with the rows whose truth nobody knew. amount, fraud_amount: worth of all
    rows, and of the frauds. cuts: thresholds, the highest first. recall, precision: points of the curve.
    """

    rows: int
    frauds: int
    days: float
    amount: float | None
    fraud_amount: float | None
    cuts: list[Cut]
    calibration: list[Reliable]
    recall: list[float]
    precision: list[float]


def evaluation_of(score: Vector, fraud: Vector, amount: Vector, days: float) -> Evaluation:
    """Evaluate a test for storage.

    Args:
        score: the ensemble's probabilities, (n,).
        fraud: 1 or 0.
        amount: what each was worth, NaN where it does not say.
        days: how long it took until so many came.

    >>> found = evaluation_of(np.array([0.9, 0.8, 0.1]), np.array([1.0, 0.0, 1.0]), np.array([5.0, 1.0, np.nan]), 1.0)
    >>> [(cut.at, cut.flagged, cut.frauds, cut.amount, cut.fraud_amount) for cut in found.cuts]
    [(0.9, 1, 1, 5.0, 5.0), (0.8, 2, 1, 6.0, 5.0), (0.1, 3, 2, 6.0, 5.0)]
    """
    known, worth = bool((~np.isnan(amount)).any()), np.nan_to_num(amount)
    curve = precision_recall(score, fraud) if len(score) and fraud.any() else None
    return Evaluation(
        rows=len(score),
        frauds=int(fraud.sum()),
        days=days,
        amount=float(worth.sum()) if known else None,
        fraud_amount=float(worth @ fraud) if known else None,
        cuts=_cuts(score, fraud, worth, known=known),
        calibration=_reliable(score, fraud),
        recall=[] if curve is None else curve.recall,
        precision=[] if curve is None else curve.precision,
    )


def read_evaluation(body: bytes) -> Evaluation:
    """Read a stored evaluation.

    Raises:
        msgspec.ValidationError: it has another form.
    """
    return msgspec.json.decode(body, type=prepared(Evaluation))


def _cuts(score: Vector, fraud: Vector, worth: Vector, *, known: bool) -> list[Cut]:
    if not len(score):
        return []
    frauds, flagged = down_the_scores(score, fraud)
    order = np.argsort(-score, kind="stable")
    last = flagged.astype(np.int64) - 1
    amounts, of_frauds = np.cumsum(worth[order])[last], np.cumsum((worth * fraud)[order])[last]
    return [
        Cut(
            at=float(score[order][last[place]]),
            flagged=int(flagged[place]),
            frauds=int(frauds[place]),
            amount=round(float(amounts[place]), 2) if known else None,
            fraud_amount=round(float(of_frauds[place]), 2) if known else None,
        )
        for place in _chosen(flagged, frauds)
    ]


def _chosen(flagged: Vector, frauds: Vector) -> list[int]:
    """Which of the distinct scores are kept: close together at the top, where thresholds lie, and evenly along the frauds."""
    if len(flagged) <= MOST_CUTS:
        return list(range(len(flagged)))
    places = np.searchsorted(flagged, np.geomspace(1, flagged[-1], MOST_CUTS // 2))
    along = np.searchsorted(frauds, np.linspace(0, frauds[-1], MOST_CUTS // 2 - 1))
    found: list[int] = np.unique(np.clip([*places, *along, len(flagged) - 1], 0, len(flagged) - 1)).tolist()
    return found


def _reliable(score: Vector, fraud: Vector) -> list[Reliable]:
    edges = [0.0, *EDGES.tolist()]
    which = np.clip(np.searchsorted(EDGES, score, side="right"), 0, len(EDGES) - 1)
    found = []
    for at in np.unique(which).tolist():
        inside = which == at
        count, frauds = int(inside.sum()), int(fraud[inside].sum())
        low, high = wilson(frauds, count)
        predicted = float(score[inside].mean())
        found.append(Reliable(edges[at], edges[at + 1], count, frauds, predicted, frauds / count, low, high))
    return found


def as_plain(evaluation: Evaluation) -> dict[str, Any]:
    """The same as plain values."""
    found: dict[str, Any] = msgspec.to_builtins(evaluation)
    return found
