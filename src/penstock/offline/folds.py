"""Training folds, and the fitting of an ensemble on them.

A fold holds the rows that models are fitted on, and the later rows that tuning, calibration and weights use. Everything fitted
belongs to one fold's training rows: category encodings, weights of stopped events, and whatever a model prepares or resamples.
`Folds` holds one fold (train, gap, validation) or several in time order, each of which learns from everything before the rows
it is judged by.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from penstock.errors import DataError
from penstock.models import Encoding, Ensemble, Member, Model
from penstock.models.fit import Fitted, combine, fit_member, outputs, usual_of
from penstock.models.port import check_rows
from penstock.offline.rows import Rows, joined, weights_of


@dataclass(frozen=True, slots=True)
class Fold:
    """Encoded rows to fit on, their weights (None: all the same), and encoded later rows to judge by."""

    fit: Rows
    weights: NDArray[np.float64] | None
    judge: Rows
    encodings: Mapping[str, Encoding]

    @classmethod
    def of(cls, fit: Rows, judge: Rows, features: tuple[str, ...], *, period: Rows | None = None) -> "Fold":
        """A fold from rows of known outcome. period: all rows of the training time, including unknown ones."""
        encodings = fit.encodings()
        weights = None if period is None else weights_of(fit, period)
        return cls(fit.encoded_by_others(features), weights, judge.encoded(encodings, features), encodings)

    def only(self, features: tuple[str, ...], kept: Sequence[str]) -> "Fold":
        """The fold with some of its inputs. features: the names of all."""
        encodings = {name: each for name, each in self.encodings.items() if name in kept}
        return replace(self, fit=self.fit.only(features, kept), judge=self.judge.only(features, kept), encodings=encodings)

    def usual(self) -> NDArray[np.float64]:
        """The median of each input over the rows to fit on."""
        return usual_of(self.fit.x)

    def fit_model(self, model: Model, features: tuple[str, ...], *, seed: int, notes: list[str]) -> Member:
        """Fit the model on this fold; caveats are added to `notes`."""
        return fit_member(
            model,
            self.fit.x,
            self.fit.fraud,
            features,
            seed=seed,
            weights=self.weights,
            encodings=self.encodings,
            notes=notes,
        )


@dataclass(frozen=True, slots=True)
class Folds:
    """Folds, and the one whose fit is kept: the last one, or with several, all rows."""

    folds: tuple[Fold, ...]
    final: Fold
    features: tuple[str, ...]

    @property
    def judged(self) -> Rows:
        """The validation rows of all folds, one after another, each with inputs encoded by its own fold."""
        return joined([fold.judge for fold in self.folds])

    def only(self, kept: Sequence[str]) -> "Folds":
        """The folds with some of their inputs."""
        made = {id(fold): fold.only(self.features, kept) for fold in (*self.folds, self.final)}
        return Folds(tuple(made[id(fold)] for fold in self.folds), made[id(self.final)], tuple(kept))


def held_out(fit: Rows, judge: Rows, features: tuple[str, ...], *, period: Rows | None = None) -> Folds:
    """One fold: fit on the training rows, validate on the validation rows."""
    fold = Fold.of(fit, judge, features, period=period)
    return Folds((fold,), fold, features)


def in_time_order(rows: Rows, folds: int, features: tuple[str, ...]) -> Folds:
    """Cross-validation in time order: `folds` + 1 stretches of equally many rows; each but the first is validated by models
    fitted on all before it. The kept models are fitted on all of them.

    Raises:
        DataError: the first stretch lacks frauds, or good ones.
    """
    order = np.argsort(rows.time_us, kind="stable")
    stretches = np.array_split(order, folds + 1)
    first = rows.fraud[stretches[0]]
    if not 0 < first.sum() < len(first):
        raise DataError(
            f"cross-validation in time order begins with {len(first)} events that hold {int(first.sum())} frauds: it needs "
            f"both classes; use fewer folds than {folds}, or more events"
        )
    stretched = tuple(
        Fold.of(rows.take(np.concatenate(stretches[: at + 1])), rows.take(stretches[at + 1]), features) for at in range(folds)
    )
    return Folds(stretched, Fold.of(rows, rows.take(order[:0]), features), features)


# ---------------------------------------------------------------- fitting


@dataclass(frozen=True, slots=True)
class FittedEnsemble:
    """An ensemble, and what it, or each fold's own fit, gave the judged rows of the study: probabilities `judged` (n,), and
    the members' raw outputs `raw` (n, m).
    """

    ensemble: Ensemble
    judged: NDArray[np.float64]
    raw: NDArray[np.float64]


def learn(
    models: Sequence[Model], folds: Folds, *, seed: int, progress: Callable[[float], None] = lambda _share: None
) -> FittedEnsemble:
    """Fit the models and combine them; the same arguments give the same ensemble, to the last bit.

    With one fold, the calibrated models are the ones kept. With several, calibration, weights and thresholds rest on the
    scores of each fold for the rows after it, and the kept models are fitted on all rows, as in cross-validation.

    Raises:
        DataError: a fold's training rows cannot be fitted.
    """
    final, notes = folds.final, list[str]()
    check_rows(final.fit.x, final.fit.fraud, folds.features, final.weights)
    fits = len(models) * (len(folds.folds) + (len(folds.folds) > 1))
    fitted, done = [], 0
    for model in models:
        raws = []
        for fold in folds.folds:
            member = fold.fit_model(model, folds.features, seed=seed, notes=notes if fold is final else [])
            raws.append(outputs(member, fold.judge.x))
            progress((done := done + 1) / fits)
        if len(folds.folds) > 1:
            member = final.fit_model(model, folds.features, seed=seed, notes=notes)
            progress((done := done + 1) / fits)
        fitted.append(Fitted(model, member, np.concatenate(raws)))
    ensemble = combine(
        fitted,
        final.fit.x,
        final.fit.fraud,
        folds.judged.fraud,
        folds.features,
        notes=notes,
        encodings=final.encodings,
    )
    raw = np.column_stack([each.raw for each in fitted])
    return FittedEnsemble(ensemble, ensemble.scores_of(raw).ensemble, raw)
