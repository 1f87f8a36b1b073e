"""Screening of candidates: what each gains on later time, compared with columns of noise, in folds in order of time.

A model of few trees is fitted on what was known when a fold begins, and judged by the events of the fold. The gain of a
feature is what the model loses when the feature's values are shuffled among the judged events. Noise is made of candidates
whose values were shuffled beforehand: what gains no more than the best of these gains nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import DataError
from penstock.models import metrics
from penstock.offline.rows import Rows

if TYPE_CHECKING:
    import lightgbm

FOLDS = 3
FEWEST_FRAUDS = 20
"""Frauds that a fold has at least among its earlier and among its judged events."""
NOISE = 8
"""Columns of noise among the candidates of one fit."""
_FIRST_FOLD = (0.4, 0.55, 0.7)
"""Shares of the frauds, in order of time, that may lie before the first fold; the earliest that suffices is taken."""
_MOST_SHUFFLED = 40_000
"""Judged rows on which gains are measured."""
_TREES, _LEAVES, _RATE = 120, 31, 0.1
_THREADS = 2
"""Fixed, so that sums of gradients are the same everywhere."""

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]


def _known_and_judged(rows: Rows, begin: int, end: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows that are known when a time begins, and those from then to its end."""
    known = np.flatnonzero((rows.time_us < begin) & (rows.known_us <= begin))
    return known, np.flatnonzero((rows.time_us >= begin) & (rows.time_us < end))


def _suffices(rows: Rows, begin: int, end: float) -> bool:
    """Whether there are frauds enough to learn from and to judge by."""
    return all(rows.fraud[part].sum() >= FEWEST_FRAUDS for part in _known_and_judged(rows, begin, end))


@dataclass(frozen=True, slots=True)
class ScreeningFold:
    """Rows known when a fold begins, and its own: places among the chosen rows, with the inputs that models had before."""

    fit: NDArray[np.intp]
    judge: NDArray[np.intp]
    base_fit: Matrix
    base_judge: Matrix

    @classmethod
    def of(cls, rows: Rows, begin: int, end: float, base: tuple[str, ...]) -> "ScreeningFold":
        """The fold from one time to another (microseconds); texts are encoded by what was known when it begins."""
        fit, judge = _known_and_judged(rows, begin, end)
        before, after = rows.take(fit), rows.take(judge)
        return cls(
            fit,
            judge,
            before.encoded_by_others(base).x.astype(np.float32),
            after.encoded(before.encodings(), base).x.astype(np.float32),
        )


@dataclass(frozen=True)
class ScreeningSample:
    """The chosen rows: labels and weights, and the folds over them.

    y (n,): 1 for fraud. weight (n,): how many recorded events a row stands for. base: names of the inputs before.
    """

    y: Floats
    weight: Floats
    folds: tuple[ScreeningFold, ...]
    base: tuple[str, ...]
    seed: int

    @classmethod
    def of(cls, rows: Rows, weight: Floats, base: tuple[str, ...], seed: int, *, folds: int = FOLDS) -> "ScreeningSample":
        """Folds with equally many frauds each; of labels that become known late, a fold knows those that came before it.

        Raises:
            DataError: there are too few frauds for a single fold.
        """
        frauds = np.sort(rows.time_us[rows.fraud == 1.0])
        for count, first in product(range(folds, 0, -1), _FIRST_FOLD if len(frauds) else ()):
            shares = np.linspace(first, 1.0, count + 1)[:-1]
            cuts = [int(frauds[int(share * len(frauds))]) for share in shares]
            ends = [*cuts[1:], np.inf]
            if all(_suffices(rows, *span) for span in zip(cuts, ends, strict=True)):
                found = tuple(ScreeningFold.of(rows, *span, base) for span in zip(cuts, ends, strict=True))
                return cls(rows.fraud, weight, found, base, seed)
        raise DataError(
            f"{len(frauds)} known frauds before the test are too few to judge features by: {FEWEST_FRAUDS} are needed that were"
            f" known before a later period, and {FEWEST_FRAUDS} in it; record for longer, or declare a shorter delay in"
            " Label(..., delay=...)"
        )

    # ---- first look

    def above_noise(self, x: Matrix, place: int, names: Sequence[str]) -> dict[str, float]:
        """The candidates of one block that a model splits by more than by any noise, with the gain of these splits."""
        fold, rng = self.folds[-1], np.random.default_rng([self.seed, 1, place])
        fit = np.column_stack([fold.base_fit, x[fold.fit], _noise(x[fold.fit], rng)])
        booster = self._fitted(fit, fold.fit, trees=_TREES // 2)
        gains = booster.feature_importance("gain")
        own, noise = gains[len(self.base) : len(self.base) + len(names)], gains[len(self.base) + len(names) :]
        return {name: float(gain) for name, gain in zip(names, own, strict=True) if gain > noise.max()}

    # ---- gains on later time

    def gains(self, x: Matrix, at: int) -> "Gains":
        """What each column gains in one fold."""
        fold, rng = self.folds[at], np.random.default_rng([self.seed, 2, at])
        count = len(self.base)
        booster = self._fitted(np.column_stack([fold.base_fit, x[fold.fit], _noise(x[fold.fit], rng)]), fold.fit)
        chosen = self._some(fold.judge, rng)
        rows = fold.judge[chosen]
        judged = np.column_stack([fold.base_judge[chosen], x[rows], _noise(x[rows], rng)])
        scores = np.asarray(booster.predict(judged, num_threads=_THREADS))
        loss, worth = self._loss(scores, rows), self._precision(scores, rows)
        found = np.zeros((2, judged.shape[1] - count))
        used = booster.feature_importance("split") > 0
        for column in np.flatnonzero(used[count:]):
            kept = judged[:, count + column].copy()
            judged[:, count + column] = rng.permutation(kept)
            shuffled = np.asarray(booster.predict(judged, num_threads=_THREADS))
            judged[:, count + column] = kept
            found[:, column] = self._loss(shuffled, rows) - loss, worth - self._precision(shuffled, rows)
        own = x.shape[1]
        return Gains(found[0, :own], found[1, :own], float(found[0, own:].max()))

    def precision(self, x: Matrix | None, at: int) -> float:
        """Average precision on a fold of a model that reads these columns besides its inputs before."""
        fold = self.folds[at]
        fit = fold.base_fit if x is None else np.column_stack([fold.base_fit, x[fold.fit]])
        judge = fold.base_judge if x is None else np.column_stack([fold.base_judge, x[fold.judge]])
        if not fit.shape[1]:
            return float(self.y[fold.judge].mean())
        scores = np.asarray(self._fitted(fit, fold.fit).predict(judge, num_threads=_THREADS))
        return self._precision(scores, fold.judge)

    # ---- parts

    def _fitted(self, x: Matrix, rows: NDArray[np.intp], *, trees: int = _TREES) -> "lightgbm.Booster":
        import lightgbm

        data = lightgbm.Dataset(x, self.y[rows], weight=self.weight[rows], params=_PARAMETERS, free_raw_data=True)
        return lightgbm.train({**_PARAMETERS, "seed": self.seed}, data, trees)

    def _some(self, judge: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
        """Places of all judged frauds and some of the others."""
        frauds, good = np.flatnonzero(self.y[judge] == 1.0), np.flatnonzero(self.y[judge] == 0.0)
        most = max(_MOST_SHUFFLED - len(frauds), len(frauds))
        return np.sort(np.concatenate([frauds, good if len(good) <= most else rng.choice(good, most, replace=False)]))

    def _loss(self, scores: Floats, rows: NDArray[np.intp]) -> float:
        """Log loss, in nats an event."""
        y, p = self.y[rows], np.clip(scores, 1e-7, 1 - 1e-7)
        return float(np.average(-np.where(y == 1.0, np.log(p), np.log1p(-p)), weights=self.weight[rows]))

    def _precision(self, scores: Floats, rows: NDArray[np.intp]) -> float:
        return weighted_precision(scores, self.y[rows], self.weight[rows])


@dataclass(frozen=True, slots=True)
class Gains:
    """What columns gain in one fold: loss (k,) in nats an event, precision (k,) in average precision, both lost by shuffling.

    noise: the most that a column of noise gains in loss.
    """

    loss: Floats
    precision: Floats
    noise: float


_PARAMETERS: dict[str, Any] = {
    "objective": "binary",
    "learning_rate": _RATE,
    "num_leaves": _LEAVES,
    "min_data_in_leaf": 20,
    "min_sum_hessian_in_leaf": 1.0,
    "lambda_l2": 1.0,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "max_bin": 255,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": _THREADS,
    "verbosity": -1,
}


def _noise(x: Matrix, rng: np.random.Generator) -> Matrix:
    """Columns whose values were shuffled: distributed as the candidates are, and without any meaning."""
    columns = rng.choice(x.shape[1], NOISE, replace=x.shape[1] < NOISE)
    return np.column_stack([rng.permutation(x[:, column]) for column in columns])


def weighted_precision(scores: Floats, y: Floats, weight: Floats) -> float:
    """Average precision where each row stands for `weight` events.

    >>> weighted_precision(np.array([0.9, 0.5, 0.1]), np.array([1.0, 0.0, 1.0]), np.array([1.0, 2.0, 1.0]))
    0.75
    """
    if (weight == 1.0).all():
        return metrics.average_precision(scores, y)
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.inf))  # equal scores are flagged together
    found = np.cumsum((y * weight)[order])[ends]
    flagged = np.cumsum(weight[order])[ends]
    return float((np.diff(found, prepend=0.0) * found / flagged).sum() / found[-1]) if len(found) and found[-1] else 0.0
