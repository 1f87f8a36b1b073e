"""Serving of linear models: one small table of numbers per feature, readable in the manifest.

    term(x) = slope * shape(min(max(x, low), high)) + offset        shape: x, or sign(x) log(1 + |x|)
    term(missing) = missing
    log-odds = intercept + the sum of the terms

Offsets are chosen so that every term is 0 on average over the training rows. So a term *is* the exact contribution of
its feature relative to the average training event (the Shapley value of a linear model with independent features), and
the intercept is the base.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from penstock.models import kernels
from penstock.models.port import Matrix, Vector

_FILE = "linear.json"
_FURTHEST = 1e100
"""Where values are not clipped to the training range: far out, yet no sum of terms can overflow."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The transformations fitted on the training rows before the coefficients. All arrays are (k,).

    median: stands in for a missing value. logarithm: 1.0 where the shape is sign(x) log(1 + |x|). low, high: the range
    values are clipped to. mean, deviation: of the shaped values; a constant feature has deviation 1. missing_share: the
    share of training rows in which the feature was missing; where it is above 0, being missing has its own weight.
    """

    median: Vector
    logarithm: Vector
    low: Vector
    high: Vector
    mean: Vector
    deviation: Vector
    missing_share: Vector

    @classmethod
    def fit(cls, x: Matrix, y: Vector, *, logarithms: bool, clip: bool) -> "Preprocessing":
        """Fit on training rows: with `logarithms`, the shape that correlates better with the outcome is taken."""
        median = medians(x)
        missing = np.isnan(x)
        filled = np.clip(np.where(missing, median, x), -_FURTHEST, _FURTHEST)
        logged = signed_log(filled)
        better = logarithms & (_correlation(logged, y) > _correlation(filled, y))
        mean, deviation = _moments(np.where(better, logged, filled))
        return cls(
            median=median,
            logarithm=better.astype(np.float64),
            low=filled.min(axis=0) if clip else np.full_like(median, -_FURTHEST),
            high=filled.max(axis=0) if clip else np.full_like(median, _FURTHEST),
            mean=mean,
            deviation=deviation,
            missing_share=missing.mean(axis=0),
        )

    @property
    def marked(self) -> NDArray[np.intp]:
        """The features with a weight for missing values: those missing in some training rows but not in all."""
        return np.flatnonzero((self.missing_share > 0) & (self.missing_share < 1))

    def design(self, x: Matrix) -> Matrix:
        """The standardised rows a solver sees: (n, k) features, then one column per marked feature."""
        missing = np.isnan(x)
        filled = np.clip(np.where(missing, self.median, x), self.low, self.high)
        shaped = np.where(self.logarithm > 0, signed_log(filled), filled)
        share = self.missing_share[self.marked]
        marks = (missing[:, self.marked] - share) / np.sqrt(share * (1 - share))
        return np.hstack([(shaped - self.mean) / self.deviation, marks])

    def table(self, coefficients: Vector) -> Matrix:
        """Preprocessing and coefficients folded into the rows the kernel reads: (6, k)."""
        k = len(self.median)
        slope = coefficients[:k] / self.deviation
        present, absent = np.zeros(k), np.zeros(k)
        share = self.missing_share[self.marked]
        present[self.marked] = -coefficients[k:] * np.sqrt(share / (1 - share))
        absent[self.marked] = coefficients[k:] * np.sqrt((1 - share) / share)
        usual = np.where(self.logarithm > 0, signed_log(self.median), self.median)
        at_missing = slope * (usual - self.mean) + absent
        return np.vstack([self.logarithm, self.low, self.high, slope, present - slope * self.mean, at_missing])


class LinearMember:
    """A fitted linear model; see `penstock.models.port.Member`."""

    form: ClassVar[str] = "linear"

    def __init__(self, preprocessing: Preprocessing, coefficients: Vector, intercept: float) -> None:
        """coefficients: (k + number of marked features,), in the order of `Preprocessing.design`."""
        self.preprocessing = preprocessing
        self.coefficients = coefficients
        self.base = intercept
        self._table = np.ascontiguousarray(preprocessing.table(coefficients))

    def fill(self, x: Matrix, out: Vector) -> None:
        """Log-odds of every row into `out`."""
        kernels.linear(x, self._table, self.base, out)

    def contributions(self, x: Matrix) -> Matrix:
        """The terms themselves."""
        out = np.empty(x.shape)
        kernels.linear_terms(x, self._table, out)
        return out

    def export(self, folder: Path) -> dict[str, Any]:
        """One JSON file of plain numbers."""
        fitted = {name: getattr(self.preprocessing, name).tolist() for name in Preprocessing.__slots__}
        content = {"intercept": self.base, "coefficients": self.coefficients.tolist(), "preprocessing": fitted}
        (folder / _FILE).write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
        return {"file": _FILE}

    @classmethod
    def load(cls, folder: Path, described: Mapping[str, Any]) -> Self:
        """Read the files of `export`."""
        content = json.loads((folder / described["file"]).read_text())
        fitted = {name: np.array(values, np.float64) for name, values in content["preprocessing"].items()}
        return cls(Preprocessing(**fitted), np.array(content["coefficients"], np.float64), content["intercept"])


def signed_log(x: Matrix) -> Matrix:
    """sign(x) log(1 + |x|): amounts of any size and sign on a scale a linear model can use."""
    return np.copysign(np.log1p(np.abs(x)), x)


def medians(x: Matrix) -> Vector:
    """The median of each column's known values; 0 for none."""
    known = ~np.isnan(x)
    return np.array([np.median(column[mask]) if mask.any() else 0.0 for column, mask in zip(x.T, known.T, strict=True)])


def _moments(shaped: Matrix) -> tuple[Vector, Vector]:
    mean = shaped.mean(axis=0)
    deviation = shaped.std(axis=0)
    constant = (shaped == shaped[0]).all(axis=0) | (deviation == 0)
    return np.where(constant, shaped[0], mean), np.where(constant, 1.0, deviation)


def _correlation(shaped: Matrix, y: Vector) -> Vector:
    """The size of each column's correlation with the outcome; 0 for constants."""
    mean, deviation = _moments(shaped)
    result: Vector = np.abs(((shaped - mean) / deviation * (y - y.mean())[:, None]).mean(axis=0))
    return result
