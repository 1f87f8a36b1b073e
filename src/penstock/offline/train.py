"""Training: replay the recorded events, split them by time, fit the declared models, and measure them on later days.

The features are those that the engine computes: there is no other road from a data set to a model. A label counts for
training and validation only if it was known when the next part begins; what nobody knew by then is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.clock import Clock, iso, system_clock
from penstock.detector import Detector
from penstock.errors import BundleError, ConfigurationError, DataError, did_you_mean
from penstock.features import Aggregate
from penstock.models import About, Ensemble, Model, champion, fit_ensemble, load_champion, metrics, promote, save
from penstock.offline.datasets import Recorded, read
from penstock.offline.periods import Periods
from penstock.offline.replay import replay

Progress = Callable[[str, float], None]
"""Told what is being done and how much of the whole is done, from 0 to 1."""

FEW_FRAUDS = 50
"""Below so many frauds in the test, its figures are mostly chance."""

_DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Report:
    """What was trained on what, and what it is worth on the test.

    unknown: events of a part whose label was not known in time. test, members: the figures of `penstock.models.metrics`
    for the ensemble and each member. saved_to and champion are None where nothing was saved.
    """

    detector: str
    model_version: str | None
    periods: Periods
    rows: dict[str, int]
    fraud: dict[str, int]
    unknown: dict[str, int]
    refused: int
    features: tuple[str, ...]
    test: dict[str, float | None]
    members: dict[str, dict[str, float | None]]
    thresholds: dict[str, float]
    notes: list[str] = field(default_factory=list)
    saved_to: Path | None = None
    champion: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values: what `penstock train --json` prints."""
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
            "thresholds": self.thresholds,
            "test": self.test,
            "members": self.members,
            "notes": self.notes,
            "saved_to": str(self.saved_to) if self.saved_to else None,
            "champion": self.champion,
        }


@dataclass(frozen=True)
class _Rows:
    """The replayed events that have a label: columns of equal length, in arrival order."""

    x: NDArray[np.float64]
    fraud: NDArray[np.float64]
    time_us: NDArray[np.int64]
    known_us: NDArray[np.int64]
    card: NDArray[Any]

    def part(self, mask: NDArray[np.bool_]) -> "_Rows":
        return _Rows(self.x[mask], self.fraud[mask], self.time_us[mask], self.known_us[mask], self.card[mask])


def train(
    detector: Detector,
    data: Any,
    *,
    train_from: datetime | None = None,
    valid_from: datetime | None = None,
    test_from: datetime | None = None,
    test_to: datetime | None = None,
    models: Sequence[str] | None = None,
    save_to: Path | None = None,
    make_champion: bool = False,
    seed: int = 0,
    progress: Progress = lambda _what, _share: None,
    clock: Clock = system_clock,
) -> Report:
    """Train a detector's models on recorded events and measure them.

    Args:
        detector: declares features, models and the label.
        data: a file or frame; see `penstock.offline.datasets`.
        train_from: first event time of the training; training ends the label delay before `valid_from`.
        valid_from: first event time of the validation, which ends the label delay before `test_from`.
        test_from: first event time of the test.
        test_to: last event time of the test. What is omitted is derived from the data.
        models: names of the declared models to train; all of them unless given.
        save_to: folder of bundles to write the result into. The first bundle becomes the champion.
        make_champion: let it decide even where there is a champion already.
        seed: of everything that draws at random.
        progress: told how far it has come.
        clock: for the time at which the bundle was made.

    Raises:
        ConfigurationError: a model that is not declared.
        DataError: no label, too little time for the split, a part without both classes, a file that does not fit.
    """
    chosen = _models(detector, models)
    progress("reading", 0.0)
    recorded = read(data, detector)
    progress("replaying", 0.1)
    rows = _replayed(detector, recorded)
    periods = Periods.of(
        rows.time_us, _label_delay(detector), train_from=train_from, valid_from=valid_from, test_from=test_from, test_to=test_to
    )
    parts, unknown = _parts(rows, periods)
    progress("fitting", 0.5)
    fit, valid, test = parts["train"], parts["valid"], parts["test"]
    ensemble = fit_ensemble(chosen, fit.x, fit.fraud, valid.x, valid.fraud, detector.plan.inputs, seed=seed)
    progress("measuring", 0.9)
    figures, members = _figures(ensemble, test, _threshold(detector, ensemble))
    report = Report(
        detector=detector.name,
        model_version=None,
        periods=periods,
        rows={name: len(part.fraud) for name, part in parts.items()},
        fraud={name: int(part.fraud.sum()) for name, part in parts.items()},
        unknown=unknown,
        refused=len(recorded.refused),
        features=detector.plan.inputs,
        test=figures,
        members=members,
        thresholds=ensemble.thresholds,
        notes=[*ensemble.notes, *_notes(parts["test"])],
    )
    if save_to is not None:
        report = _saved(detector, ensemble, report, recorded.name, save_to, make_champion=make_champion, created_us=clock())
    progress("done", 1.0)
    return report


# ---------------------------------------------------------------- what goes in


def _models(detector: Detector, names: Sequence[str] | None) -> list[Model]:
    declared = {model.name: model for model in detector.models}
    if not declared:
        raise ConfigurationError(
            f"detector {detector.name!r} declares no models: it decides by rules alone, there is nothing to train"
        )
    for name in names or ():
        if name not in declared:
            raise ConfigurationError(f"detector {detector.name!r} declares no model {name!r}.{did_you_mean(name, declared)}")
    return [declared[name] for name in names or declared]


def _label_delay(detector: Detector) -> int:
    return detector.label.delay_us if detector.label is not None else 0


def _replayed(detector: Detector, recorded: Recorded) -> _Rows:
    """Inputs of the models, truth, and when it was known, for every event that was decided and has a label."""
    label = detector.label
    if label is None:
        raise DataError(
            f"detector {detector.name!r} declares no label; training needs one: label=Label('is_fraud', delay='7d')"
        )
    frame = replay(detector, recorded)
    joined = frame.join(
        recorded.frame.unique(detector.id, keep="first"), on=detector.id, how="left", suffix=":recorded", maintain_order="left"
    )
    joined = joined.filter(pl.col(label.field).is_not_null())
    if joined.is_empty():
        raise DataError(
            f"{recorded.name}: no event has a label in column {label.field!r}; training needs the truth of some events"
        )
    due = pl.col(detector.time) + pl.duration(microseconds=label.delay_us)
    stated = [name for name in (label.known_at, "label_known_at") if name and name in joined.columns]
    known = pl.coalesce(*(pl.col(name) for name in stated), due) if stated else due
    return _Rows(
        x=np.ascontiguousarray(joined.select(pl.col(detector.plan.inputs).cast(pl.Float64)).fill_null(float("nan")).to_numpy()),
        fraud=joined[label.field].cast(pl.Float64).to_numpy(),
        time_us=joined[detector.time].to_physical().to_numpy(),
        known_us=joined.select(known.alias("known"))["known"].to_physical().to_numpy(),
        card=_cards(detector, joined),
    )


def _cards(detector: Detector, joined: pl.DataFrame) -> NDArray[Any]:
    """A number per key of the first declared entity: the customer or card that card precision counts."""
    entity = next((feature.entity for feature in detector.features if isinstance(feature, Aggregate)), None)
    fields = [name for name in (entity.fields if entity else [detector.id]) if name in joined.columns]
    return joined.select(pl.struct(fields or [detector.id]).rank("dense").alias("card"))["card"].to_numpy()


def _parts(rows: _Rows, periods: Periods) -> tuple[dict[str, _Rows], dict[str, int]]:
    """Training, validation and test without what nobody knew in time, and how many that were."""
    known_by = {"train": periods.valid_from, "valid": periods.test_from, "test": np.iinfo(np.int64).max}
    parts, unknown = {}, {}
    for name, mask in periods.masks(rows.time_us).items():
        known = rows.known_us <= known_by[name]
        parts[name] = rows.part(mask & known)
        unknown[name] = int((mask & ~known).sum())
    return parts, unknown


# ---------------------------------------------------------------- what comes out


def _threshold(detector: Detector, ensemble: Ensemble) -> float:
    """From which score on an event does not pass: the policy's, or what the validation suggests."""
    declared = detector.policy.review_at
    return float(ensemble.thresholds["review_at"] if declared is None else declared)


def _figures(
    ensemble: Ensemble, test: _Rows, threshold: float
) -> tuple[dict[str, float | None], dict[str, dict[str, float | None]]]:
    scores = ensemble.score(test.x)
    day = test.time_us // _DAY_US

    def of(score: NDArray[np.float64]) -> dict[str, float | None]:
        return metrics.figures(score, test.fraud, threshold=threshold, day=day, customer=test.card)

    return of(scores.ensemble), {name: of(scores.members[:, index]) for index, name in enumerate(ensemble.names)}


def _notes(test: _Rows) -> list[str]:
    frauds = int(test.fraud.sum())
    if frauds >= FEW_FRAUDS:
        return []
    return [f"the test holds only {frauds} frauds: its figures are mostly chance; choose an earlier --test-from"]


def _saved(
    detector: Detector, ensemble: Ensemble, report: Report, data: str, folder: Path, *, make_champion: bool, created_us: int
) -> Report:
    about = About(
        detector=detector.name,
        created_at=iso(created_us),
        fingerprint=detector.fingerprint(ensemble.features),
        schema=msgspec.json.schema(detector.event),
        training={"data": Path(data).name, "periods": report.periods.as_json(), "rows": report.rows, "fraud": report.fraud},
        metrics={"test": report.test, "members": report.members},
    )
    version = save(ensemble, folder, about).version
    assert version is not None
    if make_champion or not has_champion(detector, folder):
        promote(folder, detector.name, version)
    return replace(
        report, model_version=version, saved_to=folder / detector.name / version, champion=champion(folder, detector.name)
    )


def has_champion(detector: Detector, folder: Path) -> bool:
    """Whether a bundle decides already that still fits the detector's features."""
    try:
        found = load_champion(folder, detector.name)
    except BundleError:
        return False
    try:
        return found.fingerprint == detector.fingerprint(found.features)
    except KeyError:  # it reads a feature that is no longer declared
        return False
