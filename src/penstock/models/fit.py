"""Fitting of an ensemble from declared models and two stretches of rows: train, calibrate, choose thresholds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.errors import DataError, DeclarationError
from penstock.models import metrics
from penstock.models.calibration import Calibration
from penstock.models.categories import Encoding
from penstock.models.ensemble import Ensemble, EnsembleMember, check_names
from penstock.models.port import Later, Matrix, Member, Model, Note, Vector, check_rows

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
    """Train each declared model on the training rows, calibrate it on the validation rows, and combine them.

    Rows are float64 (n, k) with NaN where a value is missing, outcomes 1.0 for fraud and 0.0 for good; rows whose truth is
    not known yet have been left out by the caller. weights: of the training rows. encodings: of the features that are
    texts, fitted on the training rows; the rows hold encoded numbers already. Validation rows come after the training rows
    in time. The same arguments give the same ensemble, to the last bit. Caveats (few frauds, a calibration that rests on
    little, a resampling that fell back) is in the ensemble's `notes`.

    Raises:
        DataError: the training rows cannot be learned from, or the validation rows have other columns.
        DeclarationError: no model, or two of one name.
    """
    check_names(model.name for model in models)
    check_rows(x_train, y_train, feature_names, weights)
    if x_valid.shape != (len(y_valid), len(feature_names)):
        raise DataError(f"validation rows have shape {x_valid.shape}, but should have {(len(y_valid), len(feature_names))}")
    x_valid = np.ascontiguousarray(x_valid, np.float64)
    encodings = encodings or {}
    notes: list[str] = []
    fitted = []
    for model in models:
        member = fit_member(
            model, x_train, y_train, feature_names, seed=seed, weights=weights, encodings=encodings, notes=notes
        )
        fitted.append(Fitted(model, member, outputs(member, x_valid)))
    return combine(fitted, x_train, y_train, y_valid, feature_names, notes=notes, encodings=encodings)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained model: its declaration, its served form, and its raw outputs over the validation rows (n,)."""

    model: Model
    member: Member
    raw: Vector


def fit_member(
    model: Model,
    x: Matrix,
    y: Vector,
    feature_names: Sequence[str],
    *,
    seed: int,
    weights: Vector | None = None,
    encodings: Mapping[str, Encoding] | None = None,
    notes: list[str] | None = None,
    later: Later | None = None,
) -> Member:
    """Train one model; deviations from its declaration are added to `notes` with its name.

    later: rows on which a model stops that leaves its number of trees open; see `fit_stopped`.
    """
    categorical = [at for at, name in enumerate(feature_names) if name in (encodings or {})]
    note = _named(model.name, [] if notes is None else notes)
    if later is None:
        return model.fit(x, y, feature_names, weights=weights, seed=seed, categorical=categorical, note=note)
    return model.fit(x, y, feature_names, weights=weights, seed=seed, categorical=categorical, note=note, later=later)


def open_trees(model: Model) -> bool:
    """Whether the model leaves its number of trees to early stopping."""
    return getattr(model, "trees", 0) is None


def fit_stopped(
    model: Any,
    x: Matrix,
    y: Vector,
    later: Later,
    feature_names: Sequence[str],
    *,
    seed: int = 0,
    weights: Vector | None = None,
    encodings: Mapping[str, Encoding] | None = None,
) -> tuple[Model, Member]:
    """Train with early stopping on later rows: the model with its number of trees declared as found, and the trained member.

    A model that declares its number of trees, or has none, comes back as it is. The same arguments give the same result.

    Raises:
        DataError: the training rows cannot be learned from, or the later rows do not hold both classes.
    """
    x_later, y_later = np.ascontiguousarray(later[0], np.float64), later[1]
    check_rows(x_later, y_later, feature_names)
    member: Any = fit_member(
        model, x, y, feature_names, seed=seed, weights=weights, encodings=encodings, later=(x_later, y_later)
    )
    if not open_trees(model):
        return model, member
    return msgspec.structs.replace(model, trees=len(member.forest.roots)), member


def outputs(member: Member, x: Matrix) -> Vector:
    """The member's raw outputs for rows that are C-contiguous (n,)."""
    raw = np.empty(len(x))
    member.fill(x, raw)
    return raw


def combine(
    fitted: Sequence[Fitted],
    x_train: Matrix,
    y_train: Vector,
    y_valid: Vector,
    feature_names: Sequence[str],
    *,
    notes: Sequence[str] = (),
    encodings: Mapping[str, Encoding] | None = None,
) -> Ensemble:
    """Calibrate trained models on validation outcomes, weigh them where that is left open, choose thresholds.

    The raw outputs may come from rows of several validations, one after the other.
    """
    base_rate = float(y_train.mean())
    calibrations = [Calibration.fit(each.raw, y_valid, prior=base_rate) for each in fitted]
    names = check_names(each.model.name for each in fitted)
    declared = [each.model.weight for each in fitted]
    parts = [
        EnsembleMember(name, 1.0 if weight is None else weight, each.member, calibration, _declared(each.model))
        for name, weight, each, calibration in zip(names, declared, fitted, calibrations, strict=True)
    ]
    raw = np.column_stack([each.raw for each in fitted])
    known: dict[str, Any] = {"usual": usual_of(x_train), "base_rate": base_rate, "encodings": encodings}
    if None in declared:
        members = Ensemble(parts, feature_names, thresholds={}, **known).scores_of(raw).members
        weights = choose_weights(members, y_valid, declared)
        parts = [replace(part, weight=weight) for part, weight in zip(parts, weights, strict=True)]
    said = [*_notes(y_train, y_valid), *notes]
    bare = Ensemble(parts, feature_names, thresholds={}, notes=said, **known)
    return bare.with_thresholds(metrics.choose_thresholds(bare.scores_of(raw).ensemble, y_valid))


def _named(name: str, notes: list[str]) -> Note:
    return lambda note: notes.append(f"{name}: {note}")


def _declared(model: Model) -> dict[str, object]:
    fields = msgspec.to_builtins(model)
    if "path" in fields:  # where a file lay is nobody's business, and would make another version of the same bundle
        fields["path"] = Path(fields["path"]).name
    return {"kind": type(model).__module__.rpartition(".")[2], **fields}


def usual_of(x: Matrix) -> Vector:
    """The median of each feature's known values, NaN for none."""
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


_STEPS = (0.2, 0.1, 0.05)
_WORTH = 1e-4
"""Of average precision: what a step must gain, so that weights leave their equal start only for a reason."""


def choose_weights(probabilities: NDArray[np.float64], y: Vector, declared: Sequence[float | None]) -> list[float]:
    """The members' shares: those declared as they are, the open ones such that average precision is highest.

    probabilities (n, m): the members' calibrated probabilities of validation rows, y (n,) their outcomes. Where all are
    declared they come back as they are, of any sum; where some are open, declared ones are shares of 1 and the open ones
    share the rest. From equal shares on, the step that gains most is taken until none gains: the same rows give the same
    weights. Without both classes, the open ones stay equal.

    Raises:
        DeclarationError: declared shares leave nothing for the open ones.
    """
    fixed = [weight for weight in declared if weight is not None]
    if len(fixed) == len(declared):
        return fixed
    rest = 1.0 - sum(fixed)
    if rest <= 0:
        raise DeclarationError(
            f"declared weights add up to {sum(fixed):g}, which leaves nothing for the models without one; "
            "declare shares below 1 in all, or leave all of them open"
        )
    is_open = [at for at, weight in enumerate(declared) if weight is None]
    shares = np.array([rest / len(is_open) if weight is None else weight for weight in declared])
    if 0 < y.sum() < len(y) and len(is_open) > 1:
        shares = _climbed(probabilities, y, shares, is_open)
    return [float(share) for share in shares]


def _climbed(
    probabilities: NDArray[np.float64], y: Vector, shares: NDArray[np.float64], is_open: Sequence[int]
) -> NDArray[np.float64]:
    worth = metrics.average_precision(probabilities @ shares, y)
    for step in _STEPS:
        while True:
            moves = [_moved(shares, giver, taker, step) for giver in is_open for taker in is_open if giver != taker]
            found = [(metrics.average_precision(probabilities @ move, y), move) for move in moves if move is not None]
            best, move = max(found, key=lambda each: each[0], default=(0.0, shares))
            if best <= worth + _WORTH:
                break
            worth, shares = best, move
    return shares


def _moved(shares: NDArray[np.float64], giver: int, taker: int, step: float) -> NDArray[np.float64] | None:
    """The shares with a step taken from one and given to another; None where the giver would keep nothing."""
    if shares[giver] - step <= 1e-9:
        return None
    moved = shares.copy()
    moved[giver] -= step
    moved[taker] += step
    return np.round(moved, 6)
