"""From declared models and two stretches of rows to an ensemble: train, calibrate, choose thresholds."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from penstock.errors import DataError
from penstock.models import metrics
from penstock.models.calibration import Calibration
from penstock.models.categories import Encoding
from penstock.models.ensemble import Ensemble, Part, check_names
from penstock.models.port import Matrix, Model, Note, Vector, check_rows

_FEW_FRAUDS = 50


def fit_ensemble(
    models: Sequence[Model],
    x_train: Matrix,
    y_train: Vector,
    x_valid: Matrix,
    y_valid: Vector,
    feature_names: Sequence[str],
    *,
    seed: int = 0,
    weights: Vector | None = None,
    encodings: Mapping[str, Encoding] | None = None,
) -> Ensemble:
    """Train each declared model on the training rows, calibrate it on the validation rows, and put them together.

    Rows are float64 (n, k) with NaN where a value is missing, outcomes 1.0 for fraud and 0.0 for good; rows whose truth
    is not known yet have been left out by the caller. weights: of the training rows. encodings: of the features that are
    texts, fitted on the training rows; the rows hold encoded numbers already. Validation rows come after the training rows in
    time. The same arguments give the same ensemble, to the last bit. What a person should know (few frauds, a calibration
    that rests on little, a resampling that fell back) is in the ensemble's `notes`.

    Raises:
        DataError: the training rows cannot be learned from, or the validation rows have other columns.
        DeclarationError: no model, or two of one name.
    """
    names = check_names(model.name for model in models)
    check_rows(x_train, y_train, feature_names, weights)
    if x_valid.shape != (len(y_valid), len(feature_names)):
        raise DataError(f"validation rows have shape {x_valid.shape}, but should have {(len(y_valid), len(feature_names))}")
    x_valid = np.ascontiguousarray(x_valid, np.float64)
    base_rate = float(y_train.mean())
    encodings = encodings or {}
    categorical = [at for at, name in enumerate(feature_names) if name in encodings]
    notes = _notes(y_train, y_valid)
    parts = []
    for name, model in zip(names, models, strict=True):
        member = model.fit(
            x_train, y_train, feature_names, weights=weights, seed=seed, categorical=categorical, note=_named(name, notes)
        )
        raw = np.empty(len(y_valid))
        member.fill(x_valid, raw)
        calibration = Calibration.fit(raw, y_valid, prior=base_rate)
        parts.append(Part(name, model.weight, member, calibration, _declared(model)))
    bare = Ensemble(parts, feature_names, usual=_usual(x_train), base_rate=base_rate, thresholds={}, encodings=encodings)
    thresholds = metrics.choose_thresholds(bare.score(x_valid).ensemble, y_valid)
    return Ensemble(
        parts, feature_names, usual=bare.usual, base_rate=base_rate, thresholds=thresholds, notes=notes, encodings=encodings
    )


def _named(name: str, notes: list[str]) -> Note:
    return lambda note: notes.append(f"{name}: {note}")


def _declared(model: Model) -> dict[str, object]:
    fields = msgspec.to_builtins(model)
    return {"kind": type(model).__module__.rpartition(".")[2], **fields}


def _usual(x: Matrix) -> Vector:
    """The median of each feature's known values, NaN where there is none."""
    return np.array([np.median(known) if len(known := column[~np.isnan(column)]) else np.nan for column in x.T])


def _notes(y_train: Vector, y_valid: Vector) -> list[str]:
    notes = []
    for part, y in (("training", y_train), ("validation", y_valid)):
        frauds = int(y.sum())
        if frauds < _FEW_FRAUDS:
            notes.append(f"the {part} rows hold only {frauds} frauds: every figure is a rough one; use a longer period")
    if not 0 < y_valid.sum() < len(y_valid):
        notes.append("validation shows one class only: probabilities keep each model's own slope around the base rate")
    return notes
