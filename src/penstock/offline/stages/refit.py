"""The refit: the chosen models, fitted again on all labelled history, with calibration and thresholds that stay valid.

A model is surer about rows that it learned from than about later ones, so a refit cannot be calibrated on its own history. Its
calibration and thresholds rest on predictions in time order: of the validation by the measured models, and of the test by
a *stand-in*, the same models fitted on everything that was known when the test began. Neither has seen the rows that it
predicts, and the stand-in differs from the refit in the newest rows alone. Weights, numbers of trees and other
hyperparameters are carried over.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.clock import iso
from penstock.models import Ensemble, Member, Model
from penstock.models.calibration import Calibration
from penstock.models.fit import outputs
from penstock.offline import thresholds
from penstock.offline.folds import Fold
from penstock.offline.rows import Rows, joined
from penstock.offline.thresholds import Choice, ScoredRows


class Predicted(NamedTuple):
    """Rows with raw outputs (n, m) of members that have not learned from them, and how many days they took."""

    rows: Rows
    raw: NDArray[np.float64]
    days: float


@dataclass(frozen=True, slots=True)
class Refit:
    """The models that serve; the stand-in, which has not learned from the test; what both rest on.

    scored: the predicted rows with the scores that thresholds were chosen on.
    """

    ensemble: Ensemble
    stand_in: Ensemble
    history: Rows
    predicted: Rows
    scored: ScoredRows

    @property
    def note(self) -> str:
        """Whose figures the report gives."""
        until = iso(int(self.history.time_us.max()))[:10]
        return (
            f"the served models were fitted again on all {len(self.history):,} labelled events up to {until}; the figures are"
            " those of the models before that, which had not seen the test"
        )

    def as_json(self) -> dict[str, Any]:
        """What the served models were fitted on, and what their calibration and thresholds rest on."""
        return {
            "period": [iso(int(end)) for end in (self.history.time_us.min(), self.history.time_us.max())],
            "rows": len(self.history),
            "fraud": self.history.frauds,
            "calibrated_on": {"rows": len(self.predicted), "fraud": self.predicted.frauds},
            "thresholds": self.ensemble.thresholds,
            "figures_of": "the models before the refit, which had not seen the test",
        }


def refit(
    models: Sequence[Model],
    before: Ensemble,
    validated: Predicted,
    at_test: Fold,
    history: Fold,
    *,
    days: float,
    choice: Choice,
    seed: int,
) -> Refit:
    """Fit the models again on all history; the same arguments give the same ensemble, to the last bit.

    Args:
        models: as chosen, with their numbers of trees.
        before: the measured ensemble, whose weights are kept.
        validated: the validation rows, with the raw outputs of the measured models.
        at_test: everything that was known when the test began, and the test's rows to judge by.
        history: all labelled rows to fit on; nothing is judged by it.
        days: how long the test's rows took.
        choice: how thresholds are chosen.
        seed: of the models.
    """
    notes: list[str] = []
    standing = [at_test.fit_model(model, before.features, seed=seed, notes=[]) for model in models]
    members = [history.fit_model(model, before.features, seed=seed, notes=notes) for model in models]
    tested = Predicted(at_test.judge, _raw(standing, at_test.judge), days)
    rows, raw = joined([validated.rows, tested.rows]), np.concatenate([validated.raw, tested.raw])
    prior = float(history.fit.fraud.mean())
    calibrations = [Calibration.fit(column, rows.fraud, prior=prior) for column in raw.T]
    notes = [*before.notes, *(note for note in notes if note not in before.notes)]
    served = _ensemble(before, members, calibrations, history, notes)
    scored = ScoredRows(served.scores_of(raw).ensemble, rows.fraud, rows.amount, validated.days + tested.days)
    chosen = thresholds.choose(choice, scored)
    stand_in = _ensemble(before, standing, calibrations, at_test, notes)
    return Refit(served.with_thresholds(chosen), stand_in.with_thresholds(chosen), history.fit, rows, scored)


def _raw(members: Sequence[Member], rows: Rows) -> NDArray[np.float64]:
    x = np.ascontiguousarray(rows.x)
    return np.column_stack([outputs(member, x) for member in members])


def _ensemble(
    before: Ensemble, members: Sequence[Member], calibrations: Sequence[Calibration], fold: Fold, notes: Sequence[str]
) -> Ensemble:
    """The measured ensemble with other members, fitted on the fold."""
    parts = [
        replace(part, member=member, calibration=calibration)
        for part, member, calibration in zip(before.parts, members, calibrations, strict=True)
    ]
    return Ensemble(
        parts,
        before.features,
        usual=fold.usual(),
        base_rate=float(fold.fit.fraud.mean()),
        thresholds={},
        notes=notes,
        encodings=fold.encodings,
    )
