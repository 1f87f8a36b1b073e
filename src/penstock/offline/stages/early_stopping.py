"""The number of trees of models that leave it open, by early stopping on later rows inside the training time.

    |-- training ---------------------------------------|  label delay  |-- validation --|
    |-- grown on --|  label delay  |-- stopped on --|

The last fifth of the training time, less the label delay before it, tells when more trees stop to help; a model with this
number of trees is then fitted on all training rows. Calibration, weights and thresholds rest on the validation, of which
early stopping has seen nothing. Where the training time is too short for that, or holds too few frauds, the validation
rows take its place.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from penstock.models import Model
from penstock.models.declared import TREES
from penstock.models.fit import fit_stopped, open_trees
from penstock.offline.folds import Fold, Folds

LATER_SHARE = 0.2
"""Of the training time, without the label delay."""

FEWEST_FRAUDS = 20
"""Either part needs so many: with fewer, the number of trees would be a matter of chance."""


class Stopping(NamedTuple):
    """Rows to grow trees on, and later rows that end it. where: said of the later rows."""

    fold: Fold
    where: str


def stopping_of(folds: Folds, delay_us: int) -> Stopping | None:
    """The rows for early stopping, or None where there are too few frauds. delay_us: the label delay, in microseconds."""
    inside = _inside(folds.final, folds.features, delay_us)
    if inside is not None and _enough(inside):
        return Stopping(inside, "the last fifth of the training time")
    if _enough(folds.final):
        return Stopping(folds.final, "the validation, since the training time is too short to hold rows for that")
    return None


def _inside(fold: Fold, features: tuple[str, ...], delay_us: int) -> Fold | None:
    """The training rows, split by time with a gap for the labels."""
    rows = fold.fit
    first, last = int(rows.time_us.min()), int(rows.time_us.max())
    begins = last - round((last - first - delay_us) * LATER_SHARE)
    early = (rows.time_us < begins - delay_us) & ((rows.known_us <= begins) | (delay_us == 0))
    late = rows.time_us >= begins
    if last - first <= delay_us or not early.any():
        return None
    inside = Fold.of(rows.take(early), rows.take(late), features)
    return inside if fold.weights is None else replace(inside, weights=fold.weights[early])


def _enough(fold: Fold) -> bool:
    return all(FEWEST_FRAUDS <= rows.frauds <= len(rows) - FEWEST_FRAUDS for rows in (fold.fit, fold.judge))


def with_trees(model: Model, stopping: Stopping | None, features: tuple[str, ...], *, seed: int) -> Model:
    """The model with its number of trees declared, as found where it leaves that open."""
    if stopping is None or not open_trees(model):
        return model
    fold = stopping.fold
    later = np.ascontiguousarray(fold.judge.x), fold.judge.fraud
    return fit_stopped(
        model, fold.fit.x, fold.fit.fraud, later, features, seed=seed, weights=fold.weights, encodings=fold.encodings
    )[0]


def note_on(model: Model, resolved: Model, stopping: Stopping | None) -> list[str]:
    """How the number of trees came about, in a sentence; [] for a model that declares it."""
    if not open_trees(model):
        return []
    if stopping is None:
        return [f"{model.name}: fewer than {FEWEST_FRAUDS} frauds to stop early on, so it has {TREES} trees"]
    trees = getattr(resolved, "trees", TREES)
    return [f"{model.name}: {trees} trees, by early stopping on {stopping.where}"]
