"""What an ensemble is worth on rows that it has not seen."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.clock import iso, to_us
from penstock.decision.policy import NEVER
from penstock.detector import Apart, Detector
from penstock.detector.recipe import TREATMENTS
from penstock.models import Ensemble, Model, Scores, metrics
from penstock.offline.learn import learn
from penstock.offline.options import treated
from penstock.offline.rows import Rows
from penstock.offline.study import Study, in_time_order
from penstock.offline.thresholds import Scored
from penstock.offline.trained import Figures

DAY_US = 86_400_000_000

FEW_FRAUDS = 50
"""Below so many frauds in the test, its figures are mostly chance."""


def in_force(detector: Detector, ensemble: Ensemble) -> dict[str, float]:
    """Where scores are reviewed and blocked: as the detector declares, else as the training chose; 1 is never."""
    thresholds = detector.policy.thresholds(ensemble.thresholds)
    found = {"review_at": min(thresholds.review_at, thresholds.block_at), "block_at": thresholds.block_at}
    return {name: 1.0 if value == NEVER else float(value) for name, value in found.items()}


def scored(score: NDArray[np.float64], rows: Rows, unknown: int = 0) -> Scored:
    """Rows with their scores, as thresholds are chosen on; unknown: how many more came in that time."""
    span = float(rows.time_us.max() - rows.time_us.min()) / DAY_US if len(rows) else 0.0
    return Scored(score, rows.fraud, rows.amount, span * len(rows) / max(len(rows) + unknown, 1))


def figures_of(score: NDArray[np.float64], rows: Rows, threshold: float) -> Figures:
    """Every figure about one column of scores."""
    return metrics.figures(
        score, rows.fraud, threshold=threshold, day=rows.time_us // DAY_US, customer=rows.card, amount=rows.amount
    )


def by_member(ensemble: Ensemble, scores: Scores, rows: Rows, threshold: float) -> dict[str, Figures]:
    """Every figure about every member."""
    return {name: figures_of(scores.members[:, at], rows, threshold) for at, name in enumerate(ensemble.names)}


def notes_on(test: Rows) -> list[str]:
    """What a person should know about the test."""
    if test.frauds >= FEW_FRAUDS:
        return []
    return [f"the test holds only {test.frauds} frauds: its figures are mostly chance; choose an earlier --test-from"]


# ---------------------------------------------------------------- comparisons


def compare_treatments(models: Sequence[Model], study: Study, test: Rows, *, seed: int) -> dict[str, dict[str, Figures]]:
    """What every treatment of imbalance does to every model: figures on the test, each trained alone."""
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
    """The model with this treatment, whatever it declares."""
    import msgspec

    return msgspec.structs.replace(model, imbalance=treatment)  # type: ignore[no-any-return]


def _figures_alone(model: Model, study: Study, test: Rows, seed: int) -> Figures:
    ensemble = learn([model], study, seed=seed).ensemble
    score = ensemble.score(test.encoded(ensemble.encodings, study.features).x).ensemble
    return figures_of(score, test, ensemble.thresholds["review_at"])


def with_and_without(
    apart: Apart, models: Sequence[Model], fit: Rows, test: Rows, folds: int, features: tuple[str, ...], *, seed: int
) -> dict[str, Any]:
    """Every figure with what is set apart and without it: on the hold-out, and in cross-validation.

    hold_out: the same later rows, learned from all training rows or from those after the instant. cross_validation: the
    rows that folds in time order were judged by, of the training with and of the one without; `judged_without`: the former,
    judged by the later rows alone.
    """
    later = fit.time_us >= to_us(apart.before)
    out: dict[str, Any] = {
        "name": apart.name,
        "before": iso(to_us(apart.before)),
        "rows": int((~later).sum()),
        "frauds": int(fit.fraud[~later].sum()),
        "frauds_in_training": fit.frauds,
        "hold_out": {},
        "cross_validation": {},
    }
    for name, chosen in (("with", fit), ("without", fit.take(later))):
        if not 0 < chosen.frauds < len(chosen):
            out["hold_out"][name] = out["cross_validation"][name] = None
            continue
        study = in_time_order(chosen, folds, features)
        learned = learn(models, study, seed=seed)
        ensemble, at = learned.ensemble, learned.ensemble.thresholds["review_at"]
        score = ensemble.score(test.encoded(ensemble.encodings, features).x).ensemble
        out["hold_out"][name] = figures_of(score, test, at)
        judged = study.judged
        out["cross_validation"][name] = figures_of(learned.judged, judged, at)
        if name == "with":
            after = judged.time_us >= to_us(apart.before)
            out["cross_validation"]["judged_without"] = figures_of(learned.judged[after], judged.take(after), at)
    return out
