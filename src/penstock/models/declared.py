"""The base of all model kinds: a name and a weight, checks of both, and the treatment of training rows."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from penstock.errors import DeclarationError, MissingExtra
from penstock.models.imbalance import Imbalance, treat
from penstock.models.port import Later, Matrix, Member, Note, Vector, check_rows, ignore_note


class TrainingRows(NamedTuple):
    """Checked and treated rows: inputs, outcomes, weights (None: all the same), and what `Model.fit` was given with them.

    later: untreated, None where none were given.
    """

    x: Matrix
    y: Vector
    weights: Vector | None
    feature_names: Sequence[str]
    seed: int
    note: Note
    later: Later | None = None


class DeclaredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that keeps the contract of `penstock.models.port.Model`, once a kind says how it is fitted.

    A kind that declares a field `imbalance` gets rows that are treated so: see `penstock.models.imbalance`. forbid: inputs
    that this model does not read: in training they are missing in every row, so nothing is learned from them.

    Raises:
        DeclarationError: naming the model and the value.
    """

    weight: float | None = None
    name: str = "model"
    forbid: list[str] = []

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
        later: Later | None = None,
        note: Note = ignore_note,
    ) -> Member:
        """Train; see the port.

        Raises:
            MissingExtra: the library that trains it is not installed.
        """
        check_rows(x, y, feature_names, weights)
        if hidden := [at for at, name in enumerate(feature_names) if name in self.forbid]:
            x, later = _without(x, hidden), None if later is None else (_without(later[0], hidden), later[1])
        treatment: Imbalance = getattr(self, "imbalance", "none")
        try:
            x, y, weights = treat(x, y, weights, treatment, categorical=categorical, seed=seed, note=note)
            return self._fitted(TrainingRows(x, y, weights, feature_names, seed, note, later))
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


MOST_TREES = 2000
"""Early stopping ends here at the latest."""

PATIENCE = 50
"""Early stopping ends when the average precision on later rows has not risen for so many trees."""

TREES = 200
"""The number of trees where it is left open and no later rows are given."""


class BoostedModel(DeclaredModel, frozen=True, kw_only=True):
    """An ensemble of trees that are added one after the other.

    trees: their number; None leaves it to early stopping on later rows. depth: of each, at most. monotone: by input, +1 where
    the output may only rise with it, -1 where it may only fall, as long as the input is known.
    """

    trees: int | None = None
    depth: int = 6
    monotone: dict[str, Literal[-1, 1]] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_trees(self.name, TREES if self.trees is None else self.trees, self.depth)
        for column, direction in self.monotone.items():
            if direction not in (-1, 1):
                raise DeclarationError(f"model {self.name!r} has monotone[{column!r}] = {direction!r}; use +1 or -1")

    def rounds(self, later: Later | None) -> int:
        """How many trees to grow at most."""
        return self.trees or (TREES if later is None else MOST_TREES)

    def stops(self, later: Later | None) -> bool:
        """Whether training stops early."""
        return self.trees is None and later is not None

    def directions(self, feature_names: Sequence[str]) -> list[int]:
        """The constraint of each column, 0 for none; [] where no column has one."""
        found = [int(self.monotone.get(name, 0)) for name in feature_names]
        return found if any(found) else []


def _without(x: Matrix, columns: list[int]) -> Matrix:
    """The rows with these columns missing."""
    x = x.copy()
    x[:, columns] = np.nan
    return x


def check_trees(name: str, trees: int, depth: int) -> None:
    """Check the size of a tree ensemble.

    Raises:
        DeclarationError: naming the model and the values.
    """
    if not (1 <= trees <= 100_000 and 1 <= depth <= 32):
        raise DeclarationError(f"model {name!r} has {trees} trees of depth {depth}; use 1 to 100000 trees of depth 1 to 32")
