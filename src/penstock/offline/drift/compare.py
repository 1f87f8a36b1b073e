"""Drift test of each column against training: the size of the shift, and whether days, chance, age or a burst explain it.

The index of a window is compared with a limit, the largest of

* LEAST: a smaller shift does not matter, however significant;
* the value that chance exceeds about once in a million windows, for this many rows, bins and columns tested every hour. Rows of
  one customer are alike, so chance is taken as much larger as the reference's own days show;
* five times the furthest that any day of the reference lies from its other days: weekdays, paydays and attacks are no drift.

A column that looks back further than training had recorded goes on moving by itself, the further the longer; its limit
grows with the square of that distance, as the index does. Such a column is compared with the seven days before as well,
which finds a jump however old the reference is. Features computed from labels are not, since they jump whenever an attack
becomes known. A shift of at most six hours is a burst, which alerts report, and not drift.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penstock.models.reference import Reference, ReferenceColumn
from penstock.offline.drift import measures
from penstock.offline.drift.sketch import Counts, Sketch

LEAST = 0.1
"""Siddiqi's limit of no change."""

UNLIKELY = 0.01
"""How likely one alarm by chance is in thirty quiet days, over all columns and hours."""

LOOKS = 30 * 24

FURTHER = 5.0
"""How much further than the reference's own days a window must lie."""

JUMPS = 8.0
"""The same against the days before: one large payment moves the highest of a busy merchant for everybody at once."""

BURST_H = 6
DAY_H = 24
BEFORE_D = 7
LEAST_BEFORE_D = 3

_WHOLE = 0.5
"""A day of the reference with fewer rows than this share of the usual is no whole day, and not compared with the others."""

_UNKNOWN = 0.5
"""The limit where the reference has too few days to show how they differ."""

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Usual:
    """How far the reference's own days lie apart, by column: from the other days, and from the days before.

    apart, apart_before: the furthest. wider: how many times larger than for independent rows the mean is.
    """

    apart: Floats
    apart_before: Floats
    wider: Floats
    wider_before: Floats


@dataclass(frozen=True, slots=True)
class ColumnShifts:
    """By column: the index of a window and its limit, the same without its worst hours, and the same against the days before
    NaN for columns not compared with these. counts, training: (columns, bins).
    """

    counts: Counts
    training: Counts
    psi: Floats
    limit: Floats
    chance: Floats
    lasting: Floats
    recent: Floats
    recent_limit: Floats
    recent_lasting: Floats

    @property
    def drifted(self) -> NDArray[np.bool_]:
        """Whether a column moved further than its limits."""
        return (self.lasting > self.limit) | (self.recent_lasting > self.recent_limit)

    @property
    def few(self) -> NDArray[np.bool_]:
        """Whether it moved by more than LEAST, and only too few rows keep that from counting."""
        return ~self.drifted & (self.lasting > LEAST) & (self.limit <= self.chance)


class DriftComparison:
    """The comparison of windows of a sketch with a reference.

    >>> column = ReferenceColumn("amount", "number", edges=[10.0], days=[[0, 50, 50]] * 7)
    >>> DriftComparison(Reference("r", ["d"] * 7, (0.0, 7.0), [column])).usual.apart.tolist()
    [0.0]
    """

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self._width = max((column.bins for column in reference.columns), default=1)
        self._days = np.zeros((len(reference.days), len(reference.columns), self._width), np.int64)
        for at, column in enumerate(reference.columns):
            self._days[:, at, : column.bins] = column.days
        self.training: Counts = self._days.sum(axis=0)
        self._bins = np.maximum((self.training > 0).sum(axis=-1), 2)
        self.usual = self._usual()

    def _usual(self) -> Usual:
        apart, wider = self._apart([(day, self.training - self._days[day]) for day in range(len(self._days))])
        before = [(day, self._days[max(day - BEFORE_D, 0) : day].sum(axis=0)) for day in range(LEAST_BEFORE_D, len(self._days))]
        apart_before, wider_before = self._apart(before)
        return Usual(apart, apart_before, wider, wider_before)

    def _apart(self, pairs: list[tuple[int, Counts]]) -> tuple[Floats, Floats]:
        """Distance of days from others: the largest, and the ratio of the mean to that by chance."""
        columns = len(self.reference.columns)
        if not pairs:
            return np.full(columns, np.nan), np.ones(columns)
        found, chance = np.full((2, len(pairs), columns), np.nan)
        for at, (day, others) in enumerate(pairs):
            rows, rest = self._days[day].sum(axis=-1), others.sum(axis=-1)
            whole = rows >= _WHOLE * self._usual_rows
            found[at] = np.where(whole & (rest > 0), measures.psi(self._days[day], others), np.nan)
            chance[at] = (self._bins - 1) * (1 / np.maximum(rows, 1) + 1 / np.maximum(rest, 1))
        known = ~np.isnan(found)
        enough = known.sum(axis=0) >= LEAST_BEFORE_D
        furthest = np.where(enough, np.where(known, found, 0.0).max(axis=0), np.nan)
        ratio = np.where(known, found / chance, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        return furthest, np.maximum(ratio, 1.0)

    @property
    def _usual_rows(self) -> Floats:
        rows = self._days.sum(axis=-1)
        return np.array([np.median(each[each > 0]) if (each > 0).any() else 0.0 for each in rows.T])

    def window(
        self, sketch: Sketch, first: int, stop: int, *, ageing: Mask, against_before: Mask, beyond_d: float
    ) -> ColumnShifts:
        """Compare every column between two hours.

        ageing: which look back further than training had recorded. against_before: which are compared with the days before
        as well. beyond_d: how many days older than the reference's newest the window's state is.
        """
        hours = sketch.between(first, stop)
        counts: Counts = hours.sum(axis=0)
        rows, alpha = counts.sum(axis=-1), UNLIKELY / (LOOKS * max(len(self.reference.columns), 1))
        before = sketch.between(max(first - BEFORE_D * DAY_H, sketch.span[0] if sketch.span else first), first)
        enough = len(before) >= LEAST_BEFORE_D * DAY_H
        past: Counts = before.sum(axis=0)
        known = self.training.sum(axis=-1)
        chance = measures.by_chance(rows, known, self._bins, alpha) * self.usual.wider
        span_d = self.reference.ages_d[1] - self.reference.ages_d[0]
        older = np.where(ageing, (1 + max(beyond_d, 0.0) / max(span_d / 2, 1.0)) ** 2, 1.0)
        usual = np.where(np.isnan(self.usual.apart), _UNKNOWN, FURTHER * self.usual.apart)
        usual_before = np.where(np.isnan(self.usual.apart_before), _UNKNOWN, JUMPS * self.usual.apart_before)
        chance_before = measures.by_chance(rows, past.sum(axis=-1), self._bins, alpha) * self.usual.wider_before
        seen = (rows > 0) & (known > 0)
        recent = seen & against_before & enough & (past.sum(axis=-1) > 0)
        return ColumnShifts(
            counts=counts,
            training=self.training,
            psi=np.where(seen, measures.psi(counts, self.training), 0.0),
            limit=np.maximum(np.maximum(LEAST, chance), usual * older),
            chance=chance,
            lasting=np.where(seen, lasting(hours, self.training), 0.0),
            recent=np.where(recent, measures.psi(counts, past), np.nan),
            recent_limit=np.maximum(np.maximum(LEAST, chance_before), usual_before),
            recent_lasting=np.where(recent, lasting(hours, past), np.nan),
        )


def lasting(hours: Counts, training: Counts) -> Floats:
    """The index without the stretch of hours (a quarter of the window at most, and no more than BURST_H) that adds most."""
    counts = hours.sum(axis=0)
    length = min(BURST_H, len(hours) // 4)
    smallest = measures.psi(counts, training)
    if length == 0:
        return smallest
    until = np.concatenate([np.zeros((1, *counts.shape), np.int64), np.cumsum(hours, axis=0)])
    for start in range(len(hours) - length + 1):
        without = counts - (until[start + length] - until[start])
        held = without.sum(axis=-1) > 0
        smallest = np.where(held, np.minimum(smallest, measures.psi(without, training)), smallest)
    return smallest


def column_bins(column: ReferenceColumn, training: Counts, counts: Counts) -> list[tuple[str, float, float]]:
    """The non-empty bins of a column: label, share in training, share live."""
    shares = [each / max(each.sum(), 1) for each in (training, counts)]
    labels = column.labels()
    return [
        (label, float(shares[0][at]), float(shares[1][at])) for at, label in enumerate(labels) if training[at] or counts[at]
    ]
