"""Inputs that add nothing: their permutation on held-out time costs no more than that of noise.

The chosen models are fitted once more on the training rows with columns of noise among the inputs. On the validation rows
each column in turn is permuted; the loss of average precision is the column's worth, with a 95 % interval that draws whole
customers. Of two inputs that say the same, each alone can look useless: so inputs are dropped together only as far as the
models do without them as well on the validation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.models import Ensemble, Model, metrics
from penstock.models.fit import Fitted, combine, fit_member, outputs
from penstock.offline.folds import Folds, learn
from penstock.offline.rows import Rows

NOISE = 5
"""Columns of noise: copies of inputs, permuted, so that noise looks like what it is compared with."""

REPEATS, DRAWS = 3, 50

MOST_GOOD = 20_000
"""Good events that worth is measured on; drawn at random where there are more."""

FEWEST_FRAUDS = 50
"""With fewer on the validation, nothing can be told from noise."""

TOLERANCE = 0.001
"""Of average precision that dropping may cost on the validation."""


@dataclass(frozen=True, slots=True)
class Worth:
    """The loss of average precision when an input is permuted, and the 95 % interval of that."""

    name: str
    loss: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Worths:
    """Of all inputs, the most valuable first; noise: the highest end of an interval of a noise column."""

    inputs: tuple[Worth, ...]
    noise: float
    dropped: tuple[str, ...] = ()

    @property
    def useless(self) -> list[str]:
        """Inputs that cannot be told from noise, the least valuable first."""
        return [each.name for each in reversed(self.inputs) if each.loss <= self.noise and each.low <= 0]

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "inputs": {each.name: {"loss": each.loss, "low": each.low, "high": each.high} for each in self.inputs},
            "noise": self.noise,
            "useless": self.useless,
            "dropped": list(self.dropped),
        }

    @property
    def notes(self) -> list[str]:
        """What adds nothing, in a sentence."""
        if self.dropped:
            return [f"dropped, since they add no more than noise on later days: {', '.join(self.dropped)}"]
        if self.useless:
            return [f"these inputs add no more than noise on later days: {', '.join(self.useless)}; --drop-useless drops them"]
        return []


def worths(models: Sequence[Model], folds: Folds, *, seed: int) -> Worths | None:
    """The worth of every input on the last fold's judged rows; None where these hold too few frauds."""
    fold = folds.folds[-1]
    if fold.judge.frauds < FEWEST_FRAUDS or fold.judge.frauds == len(fold.judge):
        return None
    rng = np.random.default_rng(seed)
    copied = rng.choice(fold.fit.x.shape[1], NOISE)
    names = (*folds.features, *(f"noise_{at}" for at in range(NOISE)))
    fit = np.column_stack([fold.fit.x, *(rng.permutation(fold.fit.x[:, at]) for at in copied)])
    sample = _sample(fold.judge, rng)
    x = np.column_stack([sample.x, *(rng.permutation(sample.x[:, at]) for at in copied)])
    fitted = []
    for model in models:
        member = fit_member(model, fit, fold.fit.fraud, names, seed=seed, weights=fold.weights, encodings=fold.encodings)
        fitted.append(Fitted(model, member, outputs(member, x)))
    ensemble = combine(fitted, fit, fold.fit.fraud, sample.fraud, names, encodings=fold.encodings)
    found = _losses(ensemble, x, sample, rng)
    ordered = sorted(found[:-NOISE], key=lambda each: -each.loss)
    return Worths(tuple(ordered), max(each.high for each in found[-NOISE:]))


def _sample(rows: Rows, rng: np.random.Generator) -> Rows:
    frauds, good = np.flatnonzero(rows.fraud == 1), np.flatnonzero(rows.fraud == 0)
    kept = good if len(good) <= MOST_GOOD else rng.choice(good, MOST_GOOD, replace=False)
    return rows.take(np.sort(np.concatenate([frauds, kept])))


def _losses(ensemble: Ensemble, x: NDArray[np.float64], rows: Rows, rng: np.random.Generator) -> list[Worth]:
    _, member = np.unique(rows.card, return_inverse=True)
    heavy = [np.ones(len(rows)), *(rng.poisson(1.0, member.max() + 1).astype(np.float64)[member] for _ in range(DRAWS))]
    orders = [rng.permutation(len(rows)) for _ in range(REPEATS)]
    whole = _weighted(ensemble.score(x).ensemble, rows.fraud, heavy)
    found = []
    for at, name in enumerate(ensemble.features):
        changed, kept = x.copy(), []
        for order in orders:
            changed[:, at] = x[order, at]
            kept.append(_weighted(ensemble.score(changed).ensemble, rows.fraud, heavy))
        loss = whole - np.mean(kept, axis=0)
        low, high = np.percentile(loss[1:], [2.5, 97.5])
        found.append(Worth(name, float(loss[0]), float(low), float(high)))
    return found


def _weighted(score: NDArray[np.float64], y: NDArray[np.float64], heavy: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Average precision under each set of weights of the rows."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    found = []
    for weights in heavy:
        frauds, rows = np.cumsum((weights * y)[order])[ends], np.cumsum(weights[order])[ends]
        precision = np.divide(frauds, rows, out=np.zeros_like(frauds), where=rows > 0)
        found.append(float((np.diff(frauds, prepend=0) * precision).sum() / frauds[-1]) if frauds[-1] else 0.0)
    return np.array(found)


def droppable(models: Sequence[Model], folds: Folds, found: Worths, *, seed: int) -> tuple[str, ...]:
    """The useless inputs that the models do without, all or the least valuable half, and so on."""
    names, whole = found.useless, _worth(models, folds, seed)
    while names:
        kept = [name for name in folds.features if name not in names]
        if kept and _worth(models, folds.only(kept), seed) >= whole - TOLERANCE:
            return tuple(names)
        names = names[: len(names) // 2]
    return ()


def _worth(models: Sequence[Model], folds: Folds, seed: int) -> float:
    return metrics.average_precision(learn(models, folds, seed=seed).judged, folds.judged.fraud)
