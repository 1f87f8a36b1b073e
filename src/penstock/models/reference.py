"""The reference distribution of a model's inputs and scores at training time, with which drift compares live traffic.

A file of the bundle, of bounded size: for every column a few bins, with the number of rows of each of the last days. Days
are counted separately because they differ by weekday, by attack and by chance; drift is a shift beyond these differences.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.decoding import prepared
from penstock.errors import BundleError

REFERENCE = "reference.json"
"""The file, next to the manifest."""

FORMAT = 1

QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Where numbers are cut: tenths, and the upper end once more, where fraud is."""

FEW_VALUES = 12
"""Numbers with no more different values have a bin for each."""

MOST_VALUES = 30
"""Of texts, so many of the most frequent have a bin of their own."""

MOST_KNOWN = 10_000
"""Of the rarer texts, so many are remembered, to be told from those never seen."""

Counts = NDArray[np.int64]


class ReferenceColumn(msgspec.Struct, frozen=True):
    """One input or score, cut into bins.

    kind: number, text or score. edges: of a number or score, rising; a bin reaches to its edge, the edge included, and the
    last one holds what is above. values: of a text, the most frequent; known: others that were seen. days: for every day
    of the reference the rows in each bin. Bin 0 is for what is missing.

    >>> column = ReferenceColumn("amount", "number", edges=[10.0, 100.0])
    >>> column.place(np.array([np.nan, 10.0, 10.5, 1e6])).tolist(), column.labels()
    ([0, 1, 2, 3], ['missing', 'up to 10', '10 to 100', 'above 100'])
    """

    name: str
    kind: Literal["number", "text", "score"]
    edges: list[float] = []
    values: list[str] = []
    known: list[str] = []
    days: list[list[int]] = []

    @property
    def bins(self) -> int:
        """How many there are."""
        return len(self.values) + 3 if self.kind == "text" else len(self.edges) + 2

    def place(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """The bin of every number."""
        found: NDArray[np.int64] = np.searchsorted(np.asarray(self.edges, np.float64), values, side="left") + 1
        found[np.isnan(values)] = 0
        return found

    def place_texts(self, texts: Sequence[str | None]) -> NDArray[np.int64]:
        """The bin of every text: its own, the one before the last for a rare text, the last for an unseen one."""
        unseen = self.bins - 1
        places: dict[str | None, int] = dict.fromkeys(self.known, unseen - 1)
        places |= {value: at for at, value in enumerate(self.values, 1)}
        places[None] = 0
        return np.fromiter((places.get(text, unseen) for text in texts), np.int64, len(texts))

    def labels(self) -> list[str]:
        """The bins as readable labels."""
        if self.kind == "text":
            return ["missing", *self.values, "rarer ones", "never seen"]
        if not self.edges:
            return ["missing", "known"]
        said = [f"{edge:.5g}" for edge in self.edges]
        between = [f"{low} to {high}" for low, high in pairwise(said)]
        return ["missing", f"up to {said[0]}", *between, f"above {said[-1]}"]

    def counted(self, placed: NDArray[np.int64], day: NDArray[np.int64], days: int) -> "ReferenceColumn":
        """The same with the rows of each day; day: its number from 0 for every row."""
        counts = np.bincount(day * self.bins + placed, minlength=days * self.bins)
        return msgspec.structs.replace(self, days=counts.reshape(days, self.bins).tolist())


class Reference(msgspec.Struct, frozen=True):
    """The training distributions with which later traffic is compared.

    data: its name. days: dates (UTC), the oldest first. ages_d: for how many days events had been recorded when the first
    of these days began, and when the last one ended: windows fill in that time. columns: inputs and scores. importance: of
    each input for the ensemble and for every member, as shares. expected: what calibrated scores say of rows that they were
    not learned from; see `penstock.offline.drift.estimate`.
    """

    data: str
    days: list[str]
    ages_d: tuple[float, float]
    columns: list[ReferenceColumn]
    importance: dict[str, dict[str, float]] = {}
    expected: dict[str, float | None] = {}
    format: int = FORMAT

    def youngest_d(self, column: ReferenceColumn) -> float:
        """For how many days events had been recorded when the first day with rows of the column began.

        >>> scores = ReferenceColumn("fraud_probability", "score", edges=[0.5], days=[[0, 0, 0], [0, 9, 1]])
        >>> Reference("r", ["2026-01-01", "2026-01-02"], (3.0, 5.0), [scores]).youngest_d(scores)
        4.0
        """
        counted = [any(day) for day in column.days]
        return self.ages_d[0] + (counted.index(True) if True in counted else 0)

    def as_bytes(self) -> bytes:
        """The file."""
        return msgspec.json.encode(self) + b"\n"


def cut(name: str, values: NDArray[np.float64], kind: Literal["number", "score"] = "number") -> ReferenceColumn:
    """The bins of a column of numbers, by its quantiles; by its values where there are few.

    >>> cut("flag", np.array([0.0, 1.0, 0.0, np.nan])).edges
    [0.0]
    """
    known = values[~np.isnan(values)]
    different = np.unique(known)
    if len(different) <= FEW_VALUES:
        return ReferenceColumn(name, kind, edges=different[:-1].tolist())
    edges = np.unique(np.quantile(known, QUANTILES, method="inverted_cdf"))
    return ReferenceColumn(name, kind, edges=edges.tolist())


def cut_texts(name: str, texts: Sequence[str | None]) -> ReferenceColumn:
    """The bins of a column of texts, by how often they occur."""
    kept = np.array([text for text in texts if text is not None], dtype=object)
    values, counts = np.unique(kept, return_counts=True)
    ordered = [str(value) for value in values[np.argsort(-counts, kind="stable")].tolist()]
    return ReferenceColumn(name, "text", values=ordered[:MOST_VALUES], known=ordered[MOST_VALUES : MOST_VALUES + MOST_KNOWN])


def read_reference(folder: Path, manifest: Mapping[str, Any] | None = None) -> Reference | None:
    """The reference in a bundle; None in one that was made without.

    Raises:
        BundleError: it cannot be read.
    """
    if manifest is not None and REFERENCE not in manifest["files"]:
        return None
    return reference_in(folder / REFERENCE)


def reference_in(path: Path) -> Reference | None:
    """The reference in a file; None where there is no such file.

    Raises:
        BundleError: it cannot be read, or a newer Penstock wrote it.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=prepared(Reference))
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError) as error:
        raise BundleError(f"{path} cannot be read as a reference ({error}); restore it from a copy, or train again") from None
    if found.format != FORMAT:
        raise BundleError(f"{path} has format {found.format}, this Penstock reads format {FORMAT}; upgrade Penstock")
    return found
