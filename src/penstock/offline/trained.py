"""The result of a training: the ensemble, the rows it was validated on, and a report of plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.clock import Clock, iso, system_clock
from penstock.detector import Detector
from penstock.features.lookups import lookups_of
from penstock.models import About, Ensemble, Scores, save
from penstock.models.reference import Reference
from penstock.offline.folds import Folds
from penstock.offline.leaks import Leak
from penstock.offline.periods import Split
from penstock.offline.rows import Rows
from penstock.offline.stages.card import card_of
from penstock.outcomes import Rate

Figures = dict[str, float | None]
"""The figures of `penstock.models.metrics.figures`."""


@dataclass(frozen=True)
class TrainingReport:
    """The report of a training: its data, and the quality on the test.

    unknown: events of a part whose label was not known in time, or never. test, members: the figures of
    `penstock.models.metrics` for the ensemble and each member. intervals: 95 % intervals of the test's ranking figures.
    rates: its precision and recall, with counts and Wilson's interval. weights: the members' shares. thresholds: as chosen;
    in_force: with those that the detector declares instead. choice: how they were chosen. decided: the effect of the
    thresholds in force on the test. curve: the same on the validation rows for other review thresholds. tuning: trials by
    model. folds: every fold's periods and figures, oldest first; test is the last one's. apart: figures with and without
    what the recipe sets apart. treatments: figures of every model under every treatment of imbalance. leaks: suspected data
    leaks. refit: of the served models, which were fitted once more after everything was measured; None where the measured
    ones serve. useless: the worth of every input beside noise, None where nobody looked. segments: figures of the test by
    group. saved_to and champion are None where nothing was saved.
    """

    detector: str
    model_version: str | None
    periods: Split
    rows: dict[str, int]
    fraud: dict[str, int]
    unknown: dict[str, int]
    refused: int
    features: tuple[str, ...]
    test: Figures
    members: dict[str, Figures]
    thresholds: dict[str, float]
    intervals: dict[str, tuple[float, float] | None] = field(default_factory=dict)
    rates: dict[str, Rate] = field(default_factory=dict)
    decided_rates: dict[str, Rate] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    in_force: dict[str, float] = field(default_factory=dict)
    choice: dict[str, Any] = field(default_factory=dict)
    decided: Figures = field(default_factory=dict)
    curve: list[Figures] = field(default_factory=list)
    tuning: dict[str, Any] = field(default_factory=dict)
    folds: list[dict[str, Any]] = field(default_factory=list)
    apart: dict[str, Any] | None = None
    treatments: dict[str, dict[str, Figures]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)
    refit: dict[str, Any] | None = None
    useless: dict[str, Any] | None = None
    segments: dict[str, Any] = field(default_factory=dict)
    saved_to: Path | None = None
    champion: str | None = None

    @property
    def unconfirmed(self) -> list[str]:
        """Inputs that a person has to confirm before the result decides."""
        return [name for leak in self.leaks if leak.asks for name in leak.names]

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values, as printed by `penstock train --json`."""
        return {
            "detector": self.detector,
            "model_version": self.model_version,
            "periods": self.periods.as_json(),
            "rows": self.rows,
            "fraud": self.fraud,
            "base_rate": {part: self.fraud[part] / rows if rows else None for part, rows in self.rows.items()},
            "unknown": self.unknown,
            "refused": self.refused,
            "features": len(self.features),
            "weights": self.weights,
            "thresholds": self.thresholds,
            "thresholds_in_force": self.in_force,
            "choice": self.choice,
            "decided": self.decided,
            "decided_rates": msgspec.to_builtins(self.decided_rates),
            "test": self.test,
            "rates": msgspec.to_builtins(self.rates),
            "intervals": {name: None if found is None else list(found) for name, found in self.intervals.items()},
            "members": self.members,
            "folds": self.folds,
            "mean_over_folds": mean_of([fold["test"] for fold in self.folds]) if self.folds else None,
            "tuning": self.tuning,
            "treatments": self.treatments,
            "apart": self.apart,
            "curve": self.curve,
            "refit": self.refit,
            "useless": self.useless,
            "segments": self.segments,
            "notes": self.notes,
            "leaks": [leak.as_json() for leak in self.leaks],
            "unconfirmed_inputs": self.unconfirmed,
            "saved_to": str(self.saved_to) if self.saved_to else None,
            "champion": self.champion,
        }


@dataclass(frozen=True)
class Trained:
    """The complete result of a training, read by reports, registries and evaluations.

    ensemble: the models that were measured; they have not seen the test. served: the models that a bundle holds: the refit,
    or the same. study: the folds; `study.judged` are the validation rows. judged: the ensemble's score of each of them, raw:
    the members' outputs. test: the test's rows, encoded. scores: of the test. recorded: the name of the data. reference: for
    drift detection. evaluation: the stored part of the test, as plain values.
    """

    report: TrainingReport
    ensemble: Ensemble
    served: Ensemble
    study: Folds
    judged: NDArray[np.float64]
    raw: NDArray[np.float64]
    test: Rows
    scores: Scores
    recorded: str
    reference: Reference | None = None
    evaluation: Mapping[str, Any] | None = None


def mean_of(figures: list[Figures]) -> Figures:
    """The mean of each figure over those that have it."""
    names = list(dict.fromkeys(name for each in figures for name in each))
    known = {name: [value for each in figures if (value := each.get(name)) is not None] for name in names}
    return {name: float(np.mean(values)) if values else None for name, values in known.items()}


def bundled(detector: Detector, trained: Trained, folder: Path, *, clock: Clock = system_clock) -> Trained:
    """Write the ensemble as a bundle into a folder of bundles. The champion does not change."""
    report, ensemble = trained.report, trained.served
    training = {
        "data": Path(trained.recorded).name,
        "periods": report.periods.as_json(),
        "rows": report.rows,
        "fraud": report.fraud,
        "unknown": report.unknown,
        "choice": report.choice,
        "curve": report.curve,
        "tuning": {name: found["best"] for name, found in report.tuning.items()},
        **({"refit": report.refit} if report.refit else {}),
        **({"leaks": [leak.as_json() for leak in report.leaks]} if report.leaks else {}),
    }
    about = About(
        detector=detector.name,
        created_at=iso(clock()),
        fingerprint=detector.fingerprint(ensemble.features),
        schema=msgspec.json.schema(detector.event),
        training=training,
        metrics={
            "test": report.test,
            "members": report.members,
            "intervals": report.intervals,
            "decided": report.decided,
            "rates": msgspec.to_builtins(report.rates),
        },
        reference=trained.reference,
        evaluation=trained.evaluation,
        card=msgspec.to_builtins(card_of(detector, ensemble, report.as_json(), trained.recorded)),
        lookups=lookups_of(detector.features),
    )
    saved = save(ensemble, folder, about)
    assert saved.version is not None
    place = folder / detector.name / saved.version
    return replace(trained, served=saved, report=replace(report, model_version=saved.version, saved_to=place))
