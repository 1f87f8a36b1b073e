"""Calibration of a member's raw output to a probability, fitted on validation rows.

A calibration is a strictly increasing, piecewise linear function from raw output to log-odds, with separate slopes before
the first and after the last point. Strictly increasing, so that it never changes the ranking, not even among the highest
scores, where plain isotonic regression makes ties.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from penstock.models import kernels
from penstock.models.port import Vector

_FRAUDS_PER_POINT = 10
_MOST_POINTS = 50
_FRAUDS_FOR_CURVE = 100
"""Below so many frauds (or good ones) a curve would follow chance; a straight line has two numbers only."""

_LEAST_P = 1e-6
"""A forest's 0 and 1 are taken for this close to certain."""

_BETA_POINTS = 61

_MOST_STEPS = 50
_ROUNDING = 1e-12
"""The share of a log loss that sums of many rows may be off."""

_LEAST_SLOPE = 1e-3
"""Per standard deviation of the raw output: what is left of a model that ranks no better than chance."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """knots (points,): raw outputs, rising. levels (points,): log-odds there, rising. slopes: below the first, above
    the last. method: how it came about, `isotonic`, `beta`, `platt` or `prior`. frauds: how many it rests on.
    """

    knots: Vector
    levels: Vector
    slopes: tuple[float, float]
    method: str
    frauds: int

    @classmethod
    def fit(cls, raw: Vector, y: Vector, *, prior: float) -> Self:
        """Fit on validation outputs `raw` and outcomes `y`, with as many degrees of freedom as the frauds allow.

        Enough of both classes: pooled rates (isotonic), through one point of each pool. Fewer: where outputs are
        probabilities already (forests), a beta curve, which bends at both ends; where they are log-odds, a straight line
        (Platt), which did as well with fewer numbers. None of one class: a line through the base rate `prior`, with the
        model's own slope.
        """
        frauds = int(y.sum())
        if frauds in (0, len(y)):
            middle = float(raw.mean()) if len(raw) else 0.0
            return cls(np.array([middle]), np.array([_log_odds(prior)]), (1.0, 1.0), "prior", frauds)
        few = min(frauds, len(y) - frauds) < _FRAUDS_FOR_CURVE
        if few and raw.min() >= 0 and raw.max() <= 1:
            knots, levels = _beta(raw, y)
            below, above = (np.diff(levels) / np.diff(knots))[[0, -1]]
            return cls(knots, levels, (float(below), float(above)), "beta", frauds)
        slope, level_at_zero = fit_platt(raw, y)
        if few:
            return cls(np.zeros(1), np.array([level_at_zero]), (slope, slope), "platt", frauds)
        knots, levels = _pooled(raw, y, slope, level_at_zero)
        return cls(knots, levels, (slope, slope), "isotonic", frauds)

    def apply(self, raw: Vector) -> Vector:
        """The probabilities of raw outputs (n,), as an ensemble computes them.

        >>> Calibration(np.zeros(1), np.array([-2.0]), (1.0, 1.0), "prior", 0).apply(np.array([2.0])).tolist()
        [0.5]
        """
        members, alone = np.empty((1, len(raw))), np.empty(len(raw))
        curve = self.knots[None], self.levels[None], np.array([self.slopes]), np.array([len(self.knots)])
        kernels.calibrate(np.ascontiguousarray(raw)[None], *curve, np.ones(1), members, alone)
        return alone

    def to_json(self) -> dict[str, Any]:
        """Plain numbers for the manifest."""
        return {
            "method": self.method,
            "frauds": self.frauds,
            "knots": self.knots.tolist(),
            "levels": self.levels.tolist(),
            "slopes": list(self.slopes),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read the result of `to_json`."""
        below, above = content["slopes"]
        return cls(
            np.array(content["knots"]), np.array(content["levels"]), (below, above), content["method"], content["frauds"]
        )


def _log_odds(p: float) -> float:
    return float(np.log(p / (1 - p)))


def fit_platt(raw: Vector, y: Vector) -> tuple[float, float]:
    """Slope and intercept of log-odds = slope * raw + intercept.

    Source: Platt, "Probabilistic outputs for support vector machines" (1999).
    """
    centre, scale = float(raw.mean()), float(raw.std()) or 1.0
    rising, level = _fitted(((raw - centre) / scale)[:, None], y)
    slope = max(float(rising[0]), _LEAST_SLOPE) / scale
    return slope, level - slope * centre


def _beta(p: Vector, y: Vector) -> tuple[Vector, Vector]:
    """Points of the curve log-odds = a ln p - b ln(1 - p) + c, with a and b above 0: probabilities, log-odds.

    Source: Kull, Silva Filho and Flach, "Beta calibration" (2017): a term that would fall is left out, and the rest fitted
    again.
    """
    columns = np.column_stack([_logs(p)[0], -_logs(p)[1]])
    scales = columns.std(axis=0)
    scales[scales == 0] = 1.0
    kept = [0, 1]
    while True:
        rising, level = _fitted(columns[:, kept] / scales[kept], y)
        if (rising > 0).all() or len(kept) == 1:
            break
        kept = [kept[int(rising.argmax())]]
    both = np.zeros(2)
    both[kept] = np.maximum(rising, _LEAST_SLOPE) / scales[kept]
    reach = _log_odds(1 - _LEAST_P)
    knots = 1 / (1 + np.exp(-np.linspace(-reach, reach, _BETA_POINTS)))
    return knots, both[0] * _logs(knots)[0] - both[1] * _logs(knots)[1] + level


def _logs(p: Vector) -> tuple[Vector, Vector]:
    inside = np.clip(p, _LEAST_P, 1 - _LEAST_P)
    return np.log(inside), np.log1p(-inside)


def _fitted(columns: NDArray[np.float64], y: Vector) -> tuple[Vector, float]:
    """Coefficients and intercept of a logistic regression on few columns, with Platt's smoothed targets.

    Newton's method, with steps halved until the log loss falls: whole steps swing ever wider where few rows lie far from all
    others, as the frauds of a strong model do. Source: Lin, Lin and Weng, "A note on Platt's probabilistic outputs" (2007).
    """
    frauds, k = float(y.sum()), columns.shape[1]
    target = np.where(y > 0, (frauds + 1) / (frauds + 2), 1 / (len(y) - frauds + 2))
    design = np.column_stack([columns, np.ones(len(y))])
    theta = np.append(np.zeros(k), _log_odds(float(target.mean())))

    def loss(theta: Vector) -> float:
        margins = design @ theta
        return float(np.logaddexp(0.0, margins).sum() - target @ margins)

    least = loss(theta)
    for _ in range(_MOST_STEPS):
        p = 1 / (1 + np.exp(-np.clip(design @ theta, -30, 30)))
        hessian = (design * (p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(k + 1)
        step = np.linalg.solve(hessian, design.T @ (target - p))
        step *= min(1.0, 2.0 / max(np.abs(step).max(), 1e-300))
        while (found := loss(theta + step)) > least + _ROUNDING * abs(least):
            step /= 2
        theta, least = theta + step, found
        if np.abs(step).max() < 1e-10:
            break
    return theta[:k], float(theta[k])


def _pooled(raw: Vector, y: Vector, slope: float, level_at_zero: float) -> tuple[Vector, Vector]:
    """Points of groups of neighbours that hold enough frauds, pooled until their rates rise: raw outputs, log-odds.

    A pool's rate belongs to the output at which the straight line has the pool's mean probability, not to its mean
    output: the lowest pool reaches far down, and rates bend there. Source: pool-adjacent-violators, with points inside
    the pools as in Oron and Flournoy, "Centered isotonic regression" (2017).
    """
    order = np.argsort(raw, kind="stable")
    raw, y = raw[order], y[order]
    starts = _group_starts(raw, y)
    expected = 1 / (1 + np.exp(-np.clip(slope * raw + level_at_zero, -30, 30)))
    sums = np.add.reduceat(np.stack([expected, y, np.ones(len(y))]), starts, axis=1)
    pools: list[_Pool] = []
    for (likely, frauds, rows), first, end in zip(sums.T, starts, [*starts[1:], len(raw)], strict=True):
        pool = _Pool(likely, frauds, rows, raw[first], raw[end - 1])
        while pools and pools[-1].rate >= pool.rate:
            pool = pools.pop().with_next(pool)
        pools.append(pool)
    at = [(_log_odds(pool.likely / pool.rows) - level_at_zero) / slope for pool in pools]
    knots = [float(np.clip(raw_at, pool.lowest, pool.highest)) for raw_at, pool in zip(at, pools, strict=True)]
    return np.array(knots), np.array([_log_odds(pool.rate) for pool in pools])


class _Pool(NamedTuple):
    """Neighbouring outputs as one: summed straight-line probability, frauds, rows, and the range of the outputs."""

    likely: float
    frauds: float
    rows: float
    lowest: float
    highest: float

    @property
    def rate(self) -> float:
        return (self.frauds + 0.5) / (self.rows + 1)

    def with_next(self, above: "_Pool") -> "_Pool":
        return _Pool(self.likely + above.likely, self.frauds + above.frauds, self.rows + above.rows, self.lowest, above.highest)


def _group_starts(raw: Vector, y: Vector) -> NDArray[np.intp]:
    """The starts of groups among sorted outputs: a new one after this many frauds, never between equal outputs."""
    frauds = y.sum()
    points = min(_MOST_POINTS, frauds // _FRAUDS_PER_POINT)
    group = np.minimum(np.cumsum(y) * points // frauds, points - 1)
    begins = np.flatnonzero(np.diff(group)) + 1
    return np.unique(np.concatenate([[0], np.searchsorted(raw, raw[begins], side="left")]))
