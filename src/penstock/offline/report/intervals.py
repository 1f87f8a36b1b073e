"""Bootstrap intervals of the figures that `penstock.models.metrics.intervals` leaves out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.models import metrics

Vector = NDArray[np.float64]
Interval = tuple[float, float]

_BINS = 15
"""Of the expected calibration error, as in `metrics.ece`."""


def intervals(
    score: Vector,
    y: Vector,
    *,
    threshold: float,
    day: NDArray[Any],
    customer: NDArray[Any],
    amount: Vector,
    draws: int = 200,
    seed: int = 0,
) -> dict[str, Interval | None]:
    """The 95 % interval of every figure of `metrics.figures`; None where the rows do not suffice.

    A draw gives each customer a Poisson weight, so that all events of a stolen card are there together or not at all.
    """
    found = metrics.intervals(score, y, customer, draws=draws, seed=seed)
    rng = np.random.default_rng(seed + 1)
    _, member = np.unique(customer, return_inverse=True)
    sums = _Sums(score, y, threshold, np.nan_to_num(amount))
    by_day = _ByDay(day, member, score, y)
    drawn: dict[str, list[float]] = {}
    for _ in range(draws if 0 < y.sum() < len(y) else 0):
        heavy = rng.poisson(1.0, member.max() + 1).astype(np.float64)
        figures = {**sums.figures(heavy[member]), "card_precision_at_100": by_day.precision(heavy)}
        for name, value in figures.items():
            drawn.setdefault(name, []).append(value)
    return {**found, **{name: _middle(values) for name, values in drawn.items()}}


def _middle(values: list[float]) -> Interval | None:
    known = np.array(values)[~np.isnan(values)]
    if len(known) < len(values) / 2:
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


class _Sums:
    """Figures that are ratios of sums over rows."""

    def __init__(self, score: Vector, y: Vector, threshold: float, amount: Vector) -> None:
        flagged = (score >= threshold).astype(np.float64)
        self._y, self._gap = y, score - y
        self._bin = np.clip((score * _BINS).astype(np.int64), 0, _BINS - 1)
        self._columns = np.column_stack(
            [np.ones(len(y)), y, flagged, y * flagged, y * amount, y * amount * flagged, self._gap**2]
        )

    def figures(self, heavy: Vector) -> dict[str, float]:
        rows, frauds, flagged, hits, worth, caught, squares = heavy @ self._columns
        gap = np.abs(np.bincount(self._bin, heavy * self._gap, _BINS)).sum()
        return {
            "precision": _ratio(hits, flagged),
            "recall": _ratio(hits, frauds),
            "f1": _ratio(2 * hits, flagged + frauds),
            "value_detection_rate": _ratio(caught, worth),
            "brier": _ratio(squares, rows),
            "ece": _ratio(gap, rows),
        }


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


class _ByDay:
    """Card precision with weighted customers: a customer that is drawn twice takes two of the k places."""

    def __init__(self, day: NDArray[Any], member: NDArray[np.intp], score: Vector, y: Vector) -> None:
        self._days = [self._ranked(np.flatnonzero(day == today), member, score, y) for today in np.unique(day)]

    @staticmethod
    def _ranked(rows: NDArray[np.intp], member: NDArray[np.intp], score: Vector, y: Vector) -> tuple[NDArray[np.intp], Vector]:
        customers, inverse = np.unique(member[rows], return_inverse=True)
        highest, compromised = np.full(len(customers), -np.inf), np.zeros(len(customers))
        np.maximum.at(highest, inverse, score[rows])
        np.maximum.at(compromised, inverse, y[rows])
        order = np.argsort(-highest, kind="stable")
        return customers[order], compromised[order]

    def precision(self, heavy: Vector, k: int = 100) -> float:
        shares, free = [], np.ones(len(heavy), np.bool_)
        for customers, compromised in self._days:
            weight = heavy[customers] * free[customers]
            before = np.cumsum(weight) - weight
            taken = np.clip(k - before, 0, weight)
            shares.append((taken * compromised).sum() / k)
            free[customers[(taken > 0) & (compromised > 0)]] = False
        return float(np.mean(shares)) if shares else float("nan")
