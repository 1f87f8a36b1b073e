"""The base of all model kinds: a name and a weight, checks of both, and the treatment of training rows."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from penstock.errors import DeclarationError, MissingExtra
from penstock.models.imbalance import Imbalance, treat
from penstock.models.port import Matrix, Member, Note, Vector, check_rows, ignore_note


class TrainingRows(NamedTuple):
    """Checked and treated rows: inputs, outcomes, weights (None: all the same), and what `Model.fit` was given with them."""

    x: Matrix
    y: Vector
    weights: Vector | None
    feature_names: Sequence[str]
    seed: int
    note: Note


class DeclaredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that keeps the contract of `penstock.models.port.Model`, once a kind says how it is fitted.

    A kind that declares a field `imbalance` gets rows that are treated so: see `penstock.models.imbalance`.

    Raises:
        DeclarationError: naming the model and the value.
    """

    weight: float | None = None
    name: str = "model"

    def __post_init__(self) -> None:
        if not (self.name.isascii() and self.name.islower() and self.name.isidentifier()):
            raise DeclarationError(
                f"model name {self.name!r}: use lower-case letters, digits and _, as in 'logistic_regression'"
            )
        if self.weight is not None and not 0 < self.weight < float("inf"):
            raise DeclarationError(
                f"model {self.name!r} has weight {self.weight}; a weight is above 0 (leave the model out instead)"
            )

    def fit(
        self,
        x: Matrix,
        y: Vector,
        feature_names: Sequence[str],
        *,
        weights: Vector | None = None,
        seed: int = 0,
        categorical: Sequence[int] = (),
        note: Note = ignore_note,
    ) -> Member:
        """Train; see the port.

        Raises:
            MissingExtra: the library that trains it is not installed.
        """
        check_rows(x, y, feature_names, weights)
        treatment: Imbalance = getattr(self, "imbalance", "none")
        try:
            x, y, weights = treat(x, y, weights, treatment, categorical=categorical, seed=seed, note=note)
            return self._fitted(TrainingRows(x, y, weights, feature_names, seed, note))
        except ModuleNotFoundError as error:
            raise MissingExtra("train", f"training {self.name!r}") from error

    def _fitted(self, rows: TrainingRows) -> Member:
        """The member that is trained on these rows."""
        raise NotImplementedError


class TreeModel(DeclaredModel, frozen=True, kw_only=True):
    """An ensemble of `trees` trees of at most this depth."""

    trees: int = 100
    depth: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_trees(self.name, self.trees, self.depth)


def check_trees(name: str, trees: int, depth: int) -> None:
    """Check the size of a tree ensemble.

    Raises:
        DeclarationError: naming the model and the values.
    """
    if not (1 <= trees <= 100_000 and 1 <= depth <= 32):
        raise DeclarationError(f"model {name!r} has {trees} trees of depth {depth}; use 1 to 100000 trees of depth 1 to 32")
