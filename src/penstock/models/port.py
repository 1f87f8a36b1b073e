"""The port of all kinds of models: the contracts of declared models and of served members.

A **model** is what a detector declares: an immutable description with a name, a weight and its hyperparameters. It can only
be trained. Its library is imported inside `fit`, so that declaring a model and serving one import neither scikit-learn nor
XGBoost.

A **member** is the result of training, served by an ensemble: flat arrays and a compiled kernel. There are fewer forms of
members than kinds of models: every linear model is served by `LinearMember`, every tree ensemble by `TreeMember`, a
user-supplied file by `OnnxMember`. A new kind is one file in `penstock.models.kinds`; the contract suite finds it there.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from penstock.errors import DataError

Matrix = NDArray[np.float64]
"""float64 (n, k): one row per event, one column per feature in the bundle's order, NaN where a value is missing."""

Vector = NDArray[np.float64]
"""float64 (n,)."""

Later = tuple[Matrix, Vector]
"""Rows that come after the training rows in time, with columns as these have, and their outcomes: both classes occur."""

Note = Callable[[str], object]
"""Told what a person should know about a training, in one sentence."""


def ignore_note(note: str) -> None:
    """The default callback for notes, which drops them."""


class Member(Protocol):
    """A trained model as served. Immutable, so any number of threads may call it at once.

    The caller provides C-contiguous float64 rows with the features it was trained on, in that order; NaN is a missing
    value, and no other value is forbidden. The member returns the same output to the last bit for a row whether it comes
    alone or among a million.
    """

    form: ClassVar[str]
    """The key of this form in `penstock.models.bundle`, written into the manifest."""

    @property
    def base(self) -> float:
        """The raw output that contributions start from: that of the average training event."""
        ...

    def fill(self, x: Matrix, out: Vector) -> None:
        """Write the raw output of every row into `out` (n,). Raw means as the library gives it, before calibration:
        log-odds for boosted and linear models, a probability for forests; higher is more suspicious.
        Allocates nothing that outlives the call.
        """
        ...

    def contributions(self, x: Matrix) -> Matrix:
        """How far each feature moved each row's raw output away from `base`: (n, k), exact where the member's inside is
        known (of an ONNX file it is not), so that a row of it adds up to raw - base within 1e-5 of the output's scale.
        """
        ...

    def export(self, folder: Path) -> dict[str, Any]:
        """Write everything into files of open formats in `folder` (exists, empty); returns the manifest's entry. The same
        member always writes the same bytes.
        """
        ...

    @classmethod
    def load(cls, folder: Path, described: Mapping[str, Any]) -> "Member":
        """The member that `export` wrote into `folder` and described so; scores and contributions equal bit for bit.
        Checksums have been verified by the caller.
        """
        ...


class Model(Protocol):
    """A declared model. Immutable; a `msgspec.Struct`, so that its fields go into the manifest unchanged."""

    @property
    def name(self) -> str:
        """Unique within a detector; the key of its score in every decision. Lower-case letters, digits, `_`."""
        ...

    @property
    def weight(self) -> float | None:
        """Its share in the ensemble, above 0; an ensemble divides by the sum. None: chosen on the validation rows."""
        ...

    def fit(
        self,
        x: Matrix,
        y: Vector,
        feature_names: Sequence[str],
        *,
        weights: Vector | None = None,
        seed: int = 0,
        categorical: Sequence[int] = (),
        later: Later | None = None,
        note: Note = ignore_note,
    ) -> Member:
        """Train on rows `x` with outcomes `y` (1.0 is fraud). The same arguments give the same member.

        weights: of the rows; all the same unless given. categorical: the columns that hold encoded texts: numbers between
        those of two texts mean nothing, which resampling must know. later: where a model that leaves its number of trees
        open stops growing; nothing else is learned from them. note: told what did not go as declared.

        NaN, constant columns and a handful of rows are no error. One class only is: use `check_rows` first.

        Raises:
            DataError: the rows cannot be learned from; the message says why and what to do.
        """
        ...


def check_rows(x: Matrix, y: Vector, feature_names: Sequence[str], weights: Vector | None = None) -> None:
    """Checks of the training rows that every `fit` makes first.

    Raises:
        DataError: shapes do not fit, outcomes are not 0 or 1, or all outcomes are the same.
    """
    if x.ndim != 2 or x.shape[1] != len(feature_names) or not feature_names:
        raise DataError(
            f"training rows have shape {x.shape}, but there are {len(feature_names)} features; give (n, k) with k >= 1"
        )
    for what, column in (("outcomes", y), ("weights", weights)):
        if column is not None and column.shape != (x.shape[0],):
            raise DataError(f"there are {x.shape[0]} training rows, but {what} of shape {column.shape}; give one per row")
    if not np.isin(y, (0.0, 1.0)).all():
        raise DataError("outcomes must be 0 (good) or 1 (fraud); leave out the rows that have no label yet")
    frauds = int(y.sum())
    if frauds in (0, len(y)):
        raise DataError(
            f"{len(y)} training rows hold {frauds} frauds: a model needs both classes; "
            "train on a longer period, or on one in which labels are known; where only frauds are labelled, declare "
            "Label(..., unobjected_is_good=True)"
        )
