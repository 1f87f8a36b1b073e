"""A sketch of live traffic: row counts by hour and bin of the reference. No row is kept.

Its size depends on the bins and hours alone. Counts add up, so sketches of several workers, or of parts of a ledger, merge
into the sketch of all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.messages import Action
from penstock.models.reference import ReferenceColumn
from penstock.offline.drift.estimate import PARTS, sums_of

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DecisionColumns:
    """Decisions as columns of equal length.

    time_us: when the events happened. numbers, texts: inputs by name; a missing one is not counted. scores: by the name of
    the column, NaN where nothing scored. action: as `messages.Action` numbers them; None where nothing decided.
    """

    time_us: NDArray[np.int64]
    numbers: Mapping[str, NDArray[np.float64]]
    texts: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    scores: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    action: NDArray[np.uint8] | None = None


class Sketch:
    """Counts by hour, column and bin, and the sums of `estimate`.

    columns: of the reference. review_at: scores from here on are flagged. hours: by the hour's number since 1970, counts
    (columns, bins of the widest) and sums.
    """

    def __init__(self, columns: Sequence[ReferenceColumn], *, review_at: float = 1.0) -> None:
        self.columns = tuple(columns)
        self.review_at = review_at
        self.width = max((column.bins for column in columns), default=1)
        self.hours: dict[int, Counts] = {}
        self.sums: dict[int, NDArray[np.float64]] = {}

    def add(self, rows: DecisionColumns) -> None:
        """Count some rows."""
        hour, place = np.unique(rows.time_us // HOUR_US, return_inverse=True)
        counts = np.zeros((len(hour), len(self.columns), self.width), np.int64)
        for at, column in enumerate(self.columns):
            bins = _placed(column, rows)
            if bins is not None:
                held = bins >= 0
                flat = np.bincount(place[held] * self.width + bins[held], minlength=len(hour) * self.width)
                counts[:, at] = flat.reshape(len(hour), self.width)
        score = rows.scores.get(SCORE)
        stopped = None if rows.action is None else rows.action != Action.APPROVE.value
        sums = sums_of(score, stopped, place, len(hour), self.review_at) if score is not None else None
        for at, number in enumerate(hour.tolist()):
            self._put(number, counts[at], None if sums is None else sums[at])

    def _put(self, hour: int, counts: Counts, sums: NDArray[np.float64] | None) -> None:
        self.hours[hour] = self.hours[hour] + counts if hour in self.hours else counts
        if sums is not None:
            self.sums[hour] = self.sums[hour] + sums if hour in self.sums else sums

    def merge(self, other: "Sketch") -> None:
        """Add the counts of another sketch with the same columns.

        Raises:
            ValueError: its columns are others.
        """
        if [each.name for each in other.columns] != [each.name for each in self.columns] or other.width != self.width:
            raise ValueError("sketches of different references cannot be merged")
        for hour, counts in other.hours.items():
            self._put(hour, counts, other.sums.get(hour))

    def between(self, first: int, stop: int) -> Counts:
        """Counts (hours, columns, bins) from one hour up to another, which is left out."""
        nothing = np.zeros((len(self.columns), self.width), np.int64)
        if stop <= first:
            return nothing[None][:0]
        return np.stack([self.hours.get(hour, nothing) for hour in range(first, stop)])

    def summed(self, first: int, stop: int) -> NDArray[np.float64]:
        """The sums of these hours."""
        found = [self.sums[hour] for hour in range(first, stop) if hour in self.sums]
        result: NDArray[np.float64] = np.sum(found, axis=0) if found else np.zeros(PARTS)
        return result

    def forget(self, before: int) -> None:
        """Drop the counts before an hour."""
        for hour in [hour for hour in self.hours if hour < before]:
            del self.hours[hour]
            self.sums.pop(hour, None)

    @property
    def span(self) -> tuple[int, int] | None:
        """The first hour with rows, and the one after the last; None if there are none."""
        return (min(self.hours), max(self.hours) + 1) if self.hours else None


SCORE = "fraud_probability"
"""The column of the ensemble's score."""


def _placed(column: ReferenceColumn, rows: DecisionColumns) -> NDArray[np.int64] | None:
    """The bin of every row, -1 where the row has no such column; None where no row has."""
    if column.kind == "text":
        texts = rows.texts.get(column.name)
        return None if texts is None else column.place_texts(texts)
    if column.kind == "score":
        score = rows.scores.get(column.name)
        return None if score is None else np.where(np.isnan(score), -1, column.place(score))
    values: Any = rows.numbers.get(column.name)
    return None if values is None else column.place(values)
