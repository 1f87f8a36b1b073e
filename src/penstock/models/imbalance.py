"""Treatments of class imbalance before a model is fitted: none, weights, or resampling.

Only ever applied inside `fit`, so validation and test rows are never resampled, and calibration afterwards corrects the
probabilities. On card data none of these has raised the average precision of trees; they exist for comparison.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from penstock.models.port import Matrix, Note, Vector

Imbalance = Literal["none", "weights", "smote", "smoteenn", "under"]
"""none: rows as they are. weights: both classes weigh the same. smote: new frauds between neighbouring frauds, until there
are as many as good ones (SMOTE; SMOTENC where there are categories). smoteenn: smote, then rows whose neighbours are of the
other class are removed. under: as many good ones as frauds, drawn at random.
"""

_NEIGHBOURS = 5
_LARGEST = 1e15
"""Beyond it squares of distances tell nothing; infinities are brought back to it."""

MOST_CLEANED = 60_000
"""Cleaning compares every row with every other: so many take half a minute, a million would take hours."""

Rows = tuple[Matrix, Vector, Vector | None]
"""x (n, k), y (n,), weights (n,) or None where all are the same."""


def treat(
    x: Matrix,
    y: Vector,
    weights: Vector | None,
    imbalance: Imbalance,
    *,
    categorical: Sequence[int] = (),
    seed: int = 0,
    note: Note,
) -> Rows:
    """Training rows as a model is to see them. Both classes are there; the same arguments give the same rows.

    categorical: columns in which only values that occur may be made. A missing value counts as the column's median where
    distances are measured; rows that are made have none missing, rows that were there keep theirs. note: told where there
    are too few rows for what was declared, and what was done instead.

    >>> x, y = np.arange(6.0)[:, None], np.array([0.0, 0, 0, 0, 0, 1])
    >>> treat(x, y, None, "weights", note=print)[2].tolist()
    [0.6, 0.6, 0.6, 0.6, 0.6, 3.0]
    """
    if imbalance == "weights":
        return x, y, _evened(y, weights)
    if imbalance == "under":
        return _drawn(x, y, weights, seed)
    if imbalance == "smote":
        return _Synthesis(x, y, weights, categorical, seed, note).rows(clean=False)
    if imbalance == "smoteenn":
        x, y, weights = _few_enough(x, y, weights, seed, note)
        return _Synthesis(x, y, weights, categorical, seed, note).rows(clean=True)
    return x, y, weights


def _evened(y: Vector, weights: Vector | None) -> Vector:
    """Weights under which both classes add up to half of the total."""
    plain = np.ones(len(y)) if weights is None else weights
    fraud, good = plain[y == 1].sum(), plain[y == 0].sum()
    result: Vector = plain * np.where(y == 1, (fraud + good) / (2 * fraud), (fraud + good) / (2 * good))
    return result


def _drawn(x: Matrix, y: Vector, weights: Vector | None, seed: int) -> Rows:
    from imblearn.under_sampling import RandomUnderSampler

    sampler = RandomUnderSampler(random_state=seed)
    sampler.fit_resample(np.arange(len(y))[:, None], y)
    rows = np.sort(sampler.sample_indices_)
    return x[rows], y[rows], None if weights is None else weights[rows]


def _few_enough(x: Matrix, y: Vector, weights: Vector | None, seed: int, note: Note) -> Rows:
    """So many rows that cleaning ends: where one class alone makes too many, some of its rows, drawn at random."""
    most = MOST_CLEANED // 2
    draw = np.random.default_rng(seed)
    rows = [np.flatnonzero(y == outcome) for outcome in (0.0, 1.0)]
    kept = np.sort(np.concatenate([each if len(each) <= most else draw.choice(each, most, replace=False) for each in rows]))
    if len(kept) == len(y):
        return x, y, weights
    note(f"SMOTEENN saw {len(kept)} of {len(y)} rows, drawn at random: its cleaning compares every row with every other")
    return x[kept], y[kept], None if weights is None else weights[kept]


class _Synthesis:
    """SMOTE and its cleaning, on rows brought to one scale."""

    def __init__(self, x: Matrix, y: Vector, weights: Vector | None, categorical: Sequence[int], seed: int, note: Note) -> None:
        self.x, self.y, self.weights = x, y, weights
        self.categorical, self.seed, self.note = list(categorical), seed, note
        fill = np.array([_middle(column, category=at in self.categorical) for at, column in enumerate(x.T)])
        self.filled = np.clip(np.where(np.isnan(x), fill, x), -_LARGEST, _LARGEST)
        self.centre, self.deviation = _scale(self.filled, self.categorical)

    def rows(self, *, clean: bool) -> Rows:
        from threadpoolctl import threadpool_limits

        fewest = int(min(self.y.sum(), len(self.y) - self.y.sum()))
        if fewest < 2:
            self.note("the training rows hold too few of one class for SMOTE: both classes got the same weight instead")
            return self.x, self.y, _evened(self.y, self.weights)
        if fewest <= _NEIGHBOURS:
            self.note(f"SMOTE looked at {fewest - 1} neighbours instead of {_NEIGHBOURS}: there are no more rows of one class")
        with threadpool_limits(1):  # sums in another order would give other neighbours
            scaled, y = self._synthetic(min(_NEIGHBOURS, fewest - 1))
            kept = self._surroundings(scaled, y) if clean else np.arange(len(y))
        x, weights = self._as_they_were(scaled), self._weighed(len(y))
        return x[kept], y[kept], None if weights is None else weights[kept]

    def _synthetic(self, neighbours: int) -> tuple[Matrix, Vector]:
        """All rows, then the new ones, on the common scale."""
        scaled = (self.filled - self.centre) / self.deviation
        x, y = self._sampler(neighbours).fit_resample(scaled, self.y)
        return np.asarray(x, np.float64), np.asarray(y, np.float64)

    def _sampler(self, neighbours: int) -> Any:
        from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC

        if not self.categorical:
            return SMOTE(k_neighbors=neighbours, random_state=self.seed)
        if len(self.categorical) == self.x.shape[1]:
            return SMOTEN(k_neighbors=neighbours, random_state=self.seed)
        return SMOTENC(self.categorical, k_neighbors=neighbours, random_state=self.seed)

    def _surroundings(self, scaled: Matrix, y: Vector) -> NDArray[np.intp]:
        """The rows whose neighbours are all of their own class; all rows, where no class would be left."""
        from imblearn.under_sampling import EditedNearestNeighbours

        editor = EditedNearestNeighbours(sampling_strategy="all", n_neighbors=min(3, len(y) - 1))
        editor.fit_resample(scaled, y)
        kept: NDArray[np.intp] = np.sort(editor.sample_indices_)
        if len(np.unique(y[kept])) < 2:
            self.note("SMOTEENN would have removed one class altogether: its cleaning was left out")
            return np.arange(len(y))
        return kept

    def _as_they_were(self, scaled: Matrix) -> Matrix:
        made = scaled[len(self.x) :] * self.deviation + self.centre
        return np.vstack([self.x, made])

    def _weighed(self, n: int) -> Vector | None:
        """Weights with new rows: each has the mean weight of its class."""
        if self.weights is None:
            return None
        rarer = 1.0 if self.y.sum() <= len(self.y) / 2 else 0.0
        return np.append(self.weights, np.full(n - len(self.y), self.weights[self.y == rarer].mean()))


def _scale(filled: Matrix, categorical: Sequence[int]) -> tuple[Vector, Vector]:
    """Mean and deviation of each column; 0 and 1 for categories, which stay as they are, and 1 for constants."""
    centre, deviation = filled.mean(axis=0), filled.std(axis=0)
    deviation[(deviation == 0) | (filled == filled[0]).all(axis=0)] = 1.0
    centre[list(categorical)], deviation[list(categorical)] = 0.0, 1.0
    return centre, deviation


def _middle(column: Vector, *, category: bool) -> float:
    """The median of the known values, for a category an existing one; 0 for none."""
    known = column[~np.isnan(column)]
    return float(np.quantile(known, 0.5, method="lower" if category else "linear")) if len(known) else 0.0
