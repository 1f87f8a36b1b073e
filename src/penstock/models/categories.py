"""Target encoding of texts: each category becomes the log-odds of fraud in the training rows.

A category is a text of one field or feature (a merchant's branch, a country). An `Encoding` maps each text to a number. It
is fitted on training rows alone and written into the bundle as readable JSON.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from penstock.codes import NULL, text_codes
from penstock.models import kernels
from penstock.models.port import Vector

LEAST_ROWS = 10
"""A text in fewer training rows counts as unseen: it says little, and what it says is mostly the rows' own outcome."""

MOST_TEXTS = 10_000
"""Of more different texts, the most frequent ones are kept."""

FOLDS = 5
"""How often `Encoding.out_of_fold` fits."""

Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """The numbers that stand for the texts of one input, in log-odds.

    values: by text. unseen: of every other text. usual: the most frequent text, None where there was none. A missing text
    is NaN, like any missing input. keys, numbers: the same as sorted codes of `penstock.codes` and what they stand for.

    >>> encoding = Encoding({"grocery": -5.2, "travel": -2.9}, unseen=-4.8, usual="grocery")
    >>> encoding.encode(text_codes(["travel", "zoo", None])).tolist()
    [-2.9, -4.8, nan]
    """

    values: Mapping[str, float]
    unseen: float
    usual: str | None
    keys: Codes = field(init=False, repr=False)
    numbers: Vector = field(init=False, repr=False)

    def __post_init__(self) -> None:
        codes = text_codes(list(self.values))
        order = np.argsort(codes)
        object.__setattr__(self, "keys", codes[order])
        object.__setattr__(self, "numbers", np.array(list(self.values.values()), np.float64)[order])

    @classmethod
    def fit(cls, codes: Codes, texts: Sequence[str | None], y: Vector) -> Self:
        """Fit on training rows: codes (n,) as in `Batch.codes`, their texts, outcomes y (n,), 1.0 for fraud.

        A category's rate is taken with one more fraud, and the good ones that go with it at the base rate, so that few
        rows move it little: (frauds + 1) / (rows + 1 / base rate).
        """
        found = _Rates.of(codes, y)
        values = {str(texts[row]): value for row, value in zip(found.first.tolist(), found.values.tolist(), strict=True)}
        usual = texts[int(found.first[found.rows.argmax()])] if len(found.first) else None
        return cls(dict(sorted(values.items())), found.unseen, usual)

    def encode(self, codes: Codes) -> Vector:
        """The numbers that stand for texts with these codes."""
        out = np.empty(len(codes))
        kernels.encode(np.ascontiguousarray(codes), self.keys, self.numbers, self.unseen, out)
        return out

    @staticmethod
    def out_of_fold(codes: Codes, y: Vector) -> Vector:
        """The encoded values of the training rows themselves: each row's number comes from the other rows.

        A row's own outcome is part of its category's rate, so `encode` would leak it to the model. Every fifth row is
        encoded by the other four fifths instead.
        """
        out = np.empty(len(codes))
        fold = np.arange(len(codes)) % FOLDS
        for part in range(FOLDS):
            here = fold == part
            found = _Rates.of(codes[~here], y[~here])
            order = np.argsort(found.codes)
            inside = np.empty(int(here.sum()))
            kernels.encode(codes[here], found.codes[order], found.values[order], found.unseen, inside)
            out[here] = inside
        return out

    def to_json(self) -> dict[str, Any]:
        """Texts and numbers for the manifest."""
        return {"unseen": self.unseen, "usual": self.usual, "values": dict(self.values)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read the result of `to_json`."""
        return cls(content["values"], content["unseen"], content["usual"])


@dataclass(frozen=True, slots=True)
class _Rates:
    """codes, values, rows: of the categories that are kept. first: a row that holds each one's text."""

    codes: Codes
    values: Vector
    rows: NDArray[np.int64]
    first: NDArray[np.intp]
    unseen: float

    @classmethod
    def of(cls, codes: Codes, y: Vector) -> Self:
        base_rate = (y.sum() + 0.5) / (len(y) + 1)
        unique, first, inverse, rows = np.unique(codes, return_index=True, return_inverse=True, return_counts=True)
        frauds = np.bincount(inverse, weights=y, minlength=len(unique))
        rate = (frauds + 1) / (rows + 1 / base_rate)
        kept = np.flatnonzero((unique != NULL) & (rows >= LEAST_ROWS))
        kept = kept[np.argsort(-rows[kept], kind="stable")][:MOST_TEXTS]
        return cls(unique[kept], _log_odds(rate[kept]), rows[kept], first[kept], float(_log_odds(base_rate)))


def _log_odds(rate: Any) -> Any:
    return np.log(rate) - np.log1p(-rate)
