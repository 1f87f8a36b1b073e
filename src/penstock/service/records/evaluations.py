"""`GET /detectors/{name}/models/{version}/evaluation`: the evaluation of a model version, from its training."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.config import Settings
from penstock.detector import Detector
from penstock.engine import Engine
from penstock.errors import BundleError, MissingExtra, RegistryError
from penstock.identity.roles import Right
from penstock.models.bundle import read_evaluation as kept_evaluation
from penstock.models.bundle import read_manifest
from penstock.offline.evaluation import Evaluation, read_evaluation
from penstock.offline.measure import in_force_of
from penstock.outcomes import known_rate
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.problems import RequestRefused
from penstock.service.http.route import Routes
from penstock.service.records import definition_schemas as forms
from penstock.wiring.registries import open_registry

NOT_KEPT = (
    "this version was trained before its test was kept with it, so there are figures and no curves: train again to have them"
)


def evaluation_of(settings: Settings, detector: Detector, version: str) -> forms.ModelEvaluation:
    """The evaluation of a version. Waits for a disk or a network.

    Raises:
        RequestRefused: 404 there is no such version, 503 the registry does not answer.
    """
    try:
        folder = open_registry(settings).fetch(detector.name, version)
        manifest, kept = read_manifest(folder), kept_evaluation(folder)
    except BundleError as error:
        raise RequestRefused(404, str(error)) from None
    except (RegistryError, MissingExtra) as error:
        raise RequestRefused(503, str(error)) from None
    training, metrics = manifest["training"], manifest["metrics"]
    found = None if kept is None else read_evaluation(kept)
    return forms.ModelEvaluation(
        detector=detector.name,
        version=manifest["version"],
        created_at=manifest["created_at"],
        data=training.get("data"),
        periods=dict(training.get("periods") or {}),
        rows=dict(training.get("rows") or {}),
        fraud=dict(training.get("fraud") or {}),
        features=list(manifest["features"]),
        thresholds=dict(manifest["thresholds"]),
        in_force=in_force_of(detector, manifest["thresholds"]),
        figures=_figures(metrics),
        members=[
            forms.MemberFigures(each["name"], each["weight"], dict((metrics.get("members") or {}).get(each["name"]) or {}))
            for each in manifest["members"]
        ],
        calibration=None if found is None else _calibration(found),
        precision_recall=None if found is None else _curve(found),
        table=None if found is None else _table(found),
        days=None if found is None else found.days,
        total_amount=None if found is None else found.amount,
        fraud_amount=None if found is None else found.fraud_amount,
        reason=NOT_KEPT if found is None else None,
        notes=list(manifest.get("notes") or []),
    )


def _figures(metrics: Mapping[str, Any]) -> list[forms.Figure]:
    intervals, rates = metrics.get("intervals") or {}, metrics.get("rates") or {}
    found = []
    for name, value in (metrics.get("test") or {}).items():
        low, high = intervals.get(name) or (None, None)
        found.append(forms.Figure(name, value, low, high, (rates.get(name) or {}).get("of")))
    return found


def _calibration(found: Evaluation) -> list[forms.CalibrationBin]:
    return [forms.CalibrationBin(**msgspec.structs.asdict(each)) for each in found.calibration]


def _curve(found: Evaluation) -> list[forms.CurvePoint]:
    return [forms.CurvePoint(recall, precision) for recall, precision in zip(found.recall, found.precision, strict=True)]


def _table(found: Evaluation) -> list[forms.ThresholdRow]:
    goods = found.rows - found.frauds
    return [
        forms.ThresholdRow(
            at=cut.at,
            flagged=cut.flagged,
            frauds=cut.frauds,
            precision=(precision := known_rate(cut.frauds, cut.flagged)).value,
            precision_low=precision.low,
            precision_high=precision.high,
            recall=(recall := known_rate(cut.frauds, found.frauds)).value,
            recall_low=recall.low,
            recall_high=recall.high,
            false_positive_rate=known_rate(cut.flagged - cut.frauds, goods).value,
            alerts_per_day=cut.flagged / found.days if found.days else None,
            amount_stopped=cut.amount,
            amount_caught=cut.fraud_amount,
            amount_caught_share=(
                cut.fraud_amount / found.fraud_amount if cut.fraud_amount is not None and found.fraud_amount else None
            ),
        )
        for cut in reversed(found.cuts)
    ]


# ---------------------------------------------------------------- routes

route = Routes("models")


@route("GET", "/detectors/{name}/models/{version}/evaluation", Right.READ, refuses=(404,))
async def evaluation(desks: DetectorRouter, settings: Settings, /, name: str, version: str) -> forms.ModelEvaluation:
    """The evaluation of a version on its test data: figures with intervals, curves, and the effect of each threshold."""
    engine = desks.named(name).engine
    if not isinstance(engine, Engine):
        raise RequestRefused(422, f"detector {name!r} keeps no models here")
    return await asyncio.to_thread(evaluation_of, settings, engine.detector, version)
