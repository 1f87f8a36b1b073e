"""An ensemble: the weighted sum of its members' calibrated probabilities, with exact contributions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import DataError, DeclarationError
from penstock.models import kernels
from penstock.models.calibration import Calibration
from penstock.models.categories import Encoding
from penstock.models.port import Matrix, Member, Vector

_STEP = 1e-4
"""Half the raw distance over which a slope is taken where a row's output is the base itself."""


@dataclass(frozen=True, slots=True)
class EnsembleMember:
    """One member of an ensemble: its name, weight, declaration and trained form."""

    name: str
    weight: float
    member: Member
    calibration: Calibration
    declared: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Scores:
    """raw (n, m): the members' outputs. members (n, m): calibrated probabilities. ensemble (n,): their weighted sum."""

    raw: NDArray[np.float64]
    members: NDArray[np.float64]
    ensemble: NDArray[np.float64]


class Ensemble:
    """Members, their calibrations and weights over one list of features. Immutable, so threads may share it.

    names: of the members, the order of columns in `Scores`. features: the order of columns in `x`. usual: the median
    of each feature over the training rows, NaN where it was always missing. base_rate: the share of fraud among them.
    base: the log-odds contributions start from, those of the average training event. notes: what a person should know
    about the training. thresholds: review_at and block_at as training suggests them. encodings: of the features that are
    texts: what makes the numbers that members read. version, fingerprint and manifest are known once it lies in a bundle.
    """

    def __init__(
        self,
        parts: Sequence[EnsembleMember],
        features: Sequence[str],
        *,
        usual: Vector,
        base_rate: float,
        thresholds: Mapping[str, float],
        notes: Sequence[str] = (),
        encodings: Mapping[str, Encoding] | None = None,
        version: str | None = None,
        fingerprint: str | None = None,
        manifest: Mapping[str, Any] | None = None,
    ) -> None:
        self.parts = tuple(parts)
        self.names = check_names(part.name for part in parts)
        self.features = tuple(features)
        self.usual = usual
        self.base_rate = base_rate
        self.thresholds = dict(thresholds)
        self.notes = tuple(notes)
        self.encodings = dict(encodings or {})
        self.version = version
        self.fingerprint = fingerprint
        self.manifest = dict(manifest or {})
        self._members = tuple(part.member for part in parts)
        weights = np.array([part.weight for part in parts], np.float64)
        self.weights = weights / weights.sum()
        self._curves = (*_curves([part.calibration for part in parts]), self.weights)
        self._base_raw = np.array([[member.base] for member in self._members])
        members, ensemble = self._calibrate(self._base_raw)
        self._base_members = members
        self.base = float(_log_odds(ensemble)[0])

    def score(self, x: Matrix) -> Scores:
        """Score rows of float64 (n, k), columns in the order of `features`, NaN where a value is missing.

        Raises:
            DataError: the rows have another number of columns.
        """
        x = self._rows(x)
        raw = np.empty((len(self._members), len(x)))
        for member, row in zip(self._members, raw, strict=True):
            member.fill(x, row)
        return self.scores_of(raw.T)

    def fill(self, x: Matrix, out: Matrix) -> None:
        """Write the scores into out (n, 1 + m): the ensemble's probability, then each member's.

        The caller provides C-contiguous float64 rows of the right width, and an `out` that no other thread uses.
        """
        raw = np.empty((len(self._members), len(x)))
        for member, row in zip(self._members, raw, strict=True):
            member.fill(x, row)
        kernels.calibrate_rows(raw, *self._curves, out)

    def scores_of(self, raw: NDArray[np.float64]) -> Scores:
        """The scores that members' raw outputs (n, m) come to, calibrated and weighted."""
        members, ensemble = self._calibrate(np.ascontiguousarray(raw.T))
        return Scores(raw, members.T, ensemble)

    def with_thresholds(self, thresholds: Mapping[str, float]) -> "Ensemble":
        """The same judgement with other thresholds. It lies in no bundle yet."""
        return Ensemble(
            self.parts,
            self.features,
            usual=self.usual,
            base_rate=self.base_rate,
            thresholds=thresholds,
            notes=self.notes,
            encodings=self.encodings,
        )

    def contributions(self, x: Matrix) -> Matrix:
        """How far each feature moved each row's log-odds away from `base`: (n, k), adding up to log-odds(score) - base.

        Each member's exact contributions are taken to the scale of probability by the slope of the line from its base
        to its output, weighted, added, and taken to log-odds by the ensemble's slope. All slopes are positive, since
        calibrations rise: no feature changes its direction on the way, and nothing divides by a small difference.
        """
        x = self._rows(x)
        by_member = self.member_contributions(x)
        raw = self._base_raw + np.array([each.sum(axis=1) for each in by_member])
        slopes = self._slopes(raw)
        combined = sum(w * slope[:, None] * each for w, slope, each in zip(self.weights, slopes, by_member, strict=True))
        target = _log_odds(self.score(x).ensemble) - self.base
        total = combined.sum(axis=1)
        # p (1 - p) is the limit of the ratio where a row is as suspicious as the average one
        base_p = 1 / (1 + np.exp(-self.base))
        near = np.abs(total) < 1e-12
        scale = np.where(near, 1 / (base_p * (1 - base_p)), target / np.where(near, 1.0, total))
        result: Matrix = combined * scale[:, None]
        return result

    def member_contributions(self, x: Matrix) -> list[Matrix]:
        """Each member's own contributions (n, k): they add up to its raw output minus its base."""
        x = self._rows(x)
        return [member.contributions(x) for member in self._members]

    def usual_values(self) -> dict[str, float | str | None]:
        """The usual value by feature: a median (NaN where it was always missing), or the most frequent text."""
        numbers = dict(zip(self.features, self.usual.tolist(), strict=True))
        return numbers | {name: encoding.usual for name, encoding in self.encodings.items()}

    def warm(self) -> None:
        """Run every path once, so that compiling (or reading compiled code from the cache) is over before traffic."""
        row = np.full((1, len(self.features)), np.nan)
        self.fill(row, np.empty((1, 1 + len(self.names))))
        self.contributions(row)

    def _calibrate(self, raw: NDArray[np.float64]) -> tuple[NDArray[np.float64], Vector]:
        members, ensemble = np.empty_like(raw), np.empty(raw.shape[1])
        kernels.calibrate(raw, *self._curves, members, ensemble)
        return members, ensemble

    def _slopes(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """(m, n): change of a member's probability per unit of raw output, from its base to each row's output."""
        distance = raw - self._base_raw
        near = np.abs(distance) < _STEP
        above, _ = self._calibrate(np.where(near, self._base_raw + _STEP, raw))
        below, _ = self._calibrate(np.where(near, self._base_raw - _STEP, self._base_raw))
        result: NDArray[np.float64] = (above - below) / np.where(near, 2 * _STEP, distance)
        return result

    def _rows(self, x: Matrix) -> Matrix:
        if x.ndim != 2 or x.shape[1] != len(self.features):
            raise DataError(
                f"rows have shape {x.shape}, but the models read {len(self.features)} features: give (n, {len(self.features)})"
            )
        x = np.ascontiguousarray(x, np.float64)
        return x if x.flags.writeable else x.copy()  # a read-only array would be compiled for once more


def check_names(names: Any) -> tuple[str, ...]:
    """The names as a tuple.

    Raises:
        DeclarationError: it does not exist, or two are the same.
    """
    unique = tuple(names)
    if not unique:
        raise DeclarationError("an ensemble needs at least one model; leave models=[] for a detector of rules alone")
    twice = sorted({name for name in unique if unique.count(name) > 1})
    if twice:
        raise DeclarationError(f"two models are called {twice[0]!r}; give one another name, as in XGBoost(name='xgboost_2')")
    return unique


def _log_odds(p: Vector) -> Vector:
    result: Vector = np.log(p) - np.log1p(-p)
    return result


def _curves(calibrations: Sequence[Calibration]) -> tuple[Matrix, Matrix, Matrix, NDArray[np.int64]]:
    """knots, levels (m, points), slopes (m, 2) and counts (m,) for the kernel."""
    counts = np.array([len(calibration.knots) for calibration in calibrations], np.int64)
    knots, levels = np.zeros((2, len(calibrations), counts.max()))
    for row, calibration in enumerate(calibrations):
        knots[row, : counts[row]] = calibration.knots
        levels[row, : counts[row]] = calibration.levels
    return knots, levels, np.array([calibration.slopes for calibration in calibrations]), counts
