"""From a member's raw output to a probability that means what it says, fitted on validation rows.

A calibration is a strictly rising line through a few points: raw output to log-odds, straight between the points, and
beyond the first and the last with slopes of their own. Strictly rising, so that it never changes who ranks above whom,
not even among the highest scores, where plain isotonic regression makes ties.
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

_LEAST_SLOPE = 1e-3
"""Per standard deviation of the raw output: what is left of a model that ranks no better than chance."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """knots (points,): raw outputs, rising. levels (points,): log-odds there, rising. slopes: below the first, above
    the last. method: how it came about, `isotonic`, `platt` or `prior`. frauds: how many it rests on.
    """

    knots: Vector
    levels: Vector
    slopes: tuple[float, float]
    method: str
    frauds: int

    @classmethod
    def fit(cls, raw: Vector, y: Vector, *, prior: float) -> Self:
        """Fit on validation outputs `raw` and outcomes `y`, with as many degrees of freedom as the frauds allow.

        Enough of both classes: pooled rates (isotonic), through one point of each pool. Fewer: a straight line
        (Platt). None of one class: a line through the base rate `prior`, with the model's own slope.
        """
        frauds = int(y.sum())
        if frauds in (0, len(y)):
            middle = float(raw.mean()) if len(raw) else 0.0
            return cls(np.array([middle]), np.array([_log_odds(prior)]), (1.0, 1.0), "prior", frauds)
        slope, level_at_zero = _platt(raw, y)
        if min(frauds, len(y) - frauds) < _FRAUDS_FOR_CURVE:
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
        """What `to_json` gave."""
        below, above = content["slopes"]
        return cls(
            np.array(content["knots"]), np.array(content["levels"]), (below, above), content["method"], content["frauds"]
        )


def _log_odds(p: float) -> float:
    return float(np.log(p / (1 - p)))


def _platt(raw: Vector, y: Vector) -> tuple[float, float]:
    """Slope and intercept of log-odds = slope * raw + intercept by Newton's method, with Platt's smoothed targets.

    Source: Platt, "Probabilistic outputs for support vector machines" (1999).
    """
    centre, scale = float(raw.mean()), float(raw.std()) or 1.0
    frauds = float(y.sum())
    target = np.where(y > 0, (frauds + 1) / (frauds + 2), 1 / (len(y) - frauds + 2))
    columns = np.column_stack([(raw - centre) / scale, np.ones(len(raw))])
    theta = np.array([0.0, _log_odds(float(target.mean()))])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(columns @ theta, -30, 30)))
        hessian = (columns * (p * (1 - p))[:, None]).T @ columns + 1e-9 * np.eye(2)
        step = np.clip(np.linalg.solve(hessian, columns.T @ (target - p)), -2, 2)
        theta = theta + step
        if np.abs(step).max() < 1e-10:
            break
    slope = max(float(theta[0]), _LEAST_SLOPE) / scale
    return slope, float(theta[1]) - slope * centre


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
    """Where groups begin among sorted outputs: a new one after so many frauds, never between equal outputs."""
    frauds = y.sum()
    points = min(_MOST_POINTS, frauds // _FRAUDS_PER_POINT)
    group = np.minimum(np.cumsum(y) * points // frauds, points - 1)
    begins = np.flatnonzero(np.diff(group)) + 1
    return np.unique(np.concatenate([[0], np.searchsorted(raw, raw[begins], side="left")]))
