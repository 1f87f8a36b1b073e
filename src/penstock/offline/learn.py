"""Fitting of an ensemble: each model on each fold, calibration and weights on the validation rows; the last fit is kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penstock.models import Ensemble, Model
from penstock.models.fit import Fitted, combine, outputs
from penstock.models.port import check_rows
from penstock.offline.folds import Folds


@dataclass(frozen=True, slots=True)
class Learned:
    """An ensemble, and the probabilities (n,) that it, or each lesson's own fit, gave the judged rows of the study."""

    ensemble: Ensemble
    judged: NDArray[np.float64]


def learn(
    models: Sequence[Model], study: Folds, *, seed: int, progress: Callable[[float], None] = lambda _share: None
) -> Learned:
    """Fit the models and combine them; the same arguments give the same ensemble, to the last bit.

    With one fold, the calibrated models are the ones kept. With several, calibration, weights and thresholds rest on the
    scores of each fold for the rows after it, and the kept models are fitted on all rows, as in cross-validation.

    Raises:
        DataError: a fold's training rows cannot be fitted.
    """
    final, notes = study.final, list[str]()
    check_rows(final.fit.x, final.fit.fraud, study.features, final.weights)
    fits = len(models) * (len(study.lessons) + (len(study.lessons) > 1))
    fitted, done = [], 0
    for model in models:
        raws = []
        for lesson in study.lessons:
            member = lesson.taught(model, study.features, seed=seed, notes=notes if lesson is final else [])
            raws.append(outputs(member, lesson.judge.x))
            progress((done := done + 1) / fits)
        if len(study.lessons) > 1:
            member = final.taught(model, study.features, seed=seed, notes=notes)
            progress((done := done + 1) / fits)
        fitted.append(Fitted(model, member, np.concatenate(raws)))
    ensemble = combine(
        fitted,
        final.fit.x,
        final.fit.fraud,
        study.judged.fraud,
        study.features,
        notes=notes,
        encodings=final.encodings,
    )
    return Learned(ensemble, ensemble.scores_of(np.column_stack([each.raw for each in fitted])).ensemble)
