"""Measurement of an ensemble on rows that it was not fitted on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.clock import iso, to_us
from penstock.decision.policy import NEVER
from penstock.detector import Apart, Detector
from penstock.detector.recipe import TREATMENTS
from penstock.models import Ensemble, Model, Scores, metrics
from penstock.offline.folds import Folds, held_out, in_time_order, learn
from penstock.offline.options import treated
from penstock.offline.rows import Rows
from penstock.offline.thresholds import ScoredRows
from penstock.offline.trained import Figures

DAY_US = 86_400_000_000

FEW_FRAUDS = 50
"""Below so many frauds in the test, its figures are mostly chance."""


def in_force(detector: Detector, ensemble: Ensemble) -> dict[str, float]:
    """Where scores are reviewed and blocked: as the detector declares, else as the training chose; 1 is never."""
    return in_force_of(detector, ensemble.thresholds)


def in_force_of(detector: Detector, chosen: Mapping[str, float]) -> dict[str, float]:
    """The same of thresholds that a training chose."""
    thresholds = detector.policy.thresholds(chosen)
    found = {"review_at": min(thresholds.review_at, thresholds.block_at), "block_at": thresholds.block_at}
    return {name: 1.0 if value == NEVER else float(value) for name, value in found.items()}


def scored(score: NDArray[np.float64], rows: Rows, unknown: int = 0) -> ScoredRows:
    """Rows with their scores, as thresholds are chosen on; unknown: how many more came in that time."""
    span = float(rows.time_us.max() - rows.time_us.min()) / DAY_US if len(rows) else 0.0
    return ScoredRows(score, rows.fraud, rows.amount, span * len(rows) / max(len(rows) + unknown, 1))


def figures_of(score: NDArray[np.float64], rows: Rows, threshold: float) -> Figures:
    """Every figure about one column of scores."""
    return metrics.figures(
        score, rows.fraud, threshold=threshold, day=rows.time_us // DAY_US, customer=rows.card, amount=rows.amount
    )


def by_member(ensemble: Ensemble, scores: Scores, rows: Rows, threshold: float) -> dict[str, Figures]:
    """Every figure about every member."""
    return {name: figures_of(scores.members[:, at], rows, threshold) for at, name in enumerate(ensemble.names)}


def notes_on(test: Rows) -> list[str]:
    """Caveats about the test."""
    if test.frauds >= FEW_FRAUDS:
        return []
    return [f"the test holds only {test.frauds} frauds: its figures are mostly chance; choose an earlier --test-from"]


# ---------------------------------------------------------------- comparisons


def compare_treatments(models: Sequence[Model], study: Folds, test: Rows, *, seed: int) -> dict[str, dict[str, Figures]]:
    """The effect of every imbalance treatment on every model: figures on the test, each fitted alone."""
    found: dict[str, dict[str, Figures]] = {}
    for model in models:
        bare = treated(model, "none")
        if not hasattr(bare, "imbalance"):
            continue
        found[model.name] = {
            treatment: _figures_alone(with_treatment(model, treatment), study, test, seed) for treatment in TREATMENTS
        }
    return found


def with_treatment(model: Any, treatment: str) -> Model:
    """The model with this treatment in place of the declared one."""
    return msgspec.structs.replace(model, imbalance=treatment)  # type: ignore[no-any-return]


def _figures_alone(model: Model, study: Folds, test: Rows, seed: int) -> Figures:
    ensemble = learn([model], study, seed=seed).ensemble
    score = ensemble.score(test.encoded(ensemble.encodings, study.features).x).ensemble
    return figures_of(score, test, ensemble.thresholds["review_at"])


@dataclass(frozen=True, slots=True)
class Parted:
    """Figures with and without the rows that a recipe sets apart."""

    apart: Apart
    models: Sequence[Model]
    fit: Rows
    test: Rows
    folds: int
    features: tuple[str, ...]
    seed: int

    def figures(self, hold_out: Figures, judged: Figures) -> dict[str, Any]:
        """Every figure with what is set apart, as found already on the hold-out and in cross-validation, and without it.

        hold_out: the same later rows, learned from all training rows or from those after the instant. cross_validation:
        the rows that folds in time order were judged by. shuffled: a fifth of the training rows drawn at random, learned
        from the others, which is no estimate of anything: an episode then stands on both sides of the split. It is here
        because figures for published data are often made that way.
        """
        later = self.fit.time_us >= to_us(self.apart.before)
        rest = self.fit.take(later)
        alone = self._learned(rest) if 0 < rest.frauds < len(rest) else (None, None)
        return {
            "name": self.apart.name,
            "before": iso(to_us(self.apart.before)),
            "rows": int((~later).sum()),
            "frauds": int(self.fit.fraud[~later].sum()),
            "frauds_in_training": self.fit.frauds,
            "hold_out": {"with": hold_out, "without": alone[0]},
            "cross_validation": {"with": judged, "without": alone[1]},
            "shuffled": {"with": self._shuffled(self.fit), "without": self._shuffled(rest) if alone[0] else None},
        }

    def _learned(self, fit: Rows) -> tuple[Figures, Figures]:
        """Figures of models learned from these rows: on the test, and in cross-validation."""
        study = in_time_order(fit, self.folds, self.features)
        learned = learn(self.models, study, seed=self.seed)
        ensemble, at = learned.ensemble, learned.ensemble.thresholds["review_at"]
        test = self.test.encoded(ensemble.encodings, self.features)
        return figures_of(ensemble.score(test.x).ensemble, test, at), figures_of(learned.judged, study.judged, at)

    def _shuffled(self, fit: Rows) -> Figures:
        place = np.random.default_rng(self.seed).permutation(len(fit))
        cut = len(fit) * 4 // 5
        study = held_out(fit.take(place[:cut]), fit.take(place[cut:]), self.features)
        learned = learn(self.models, study, seed=self.seed)
        return figures_of(learned.judged, study.judged, learned.ensemble.thresholds["review_at"])
