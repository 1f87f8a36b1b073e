"""`GET /detectors/{name}/models/{version}/evaluation` and `/card`: a model version as its training measured it."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query, Request, Response
from msgspec import Meta

from penstock.config import Settings
from penstock.detector import Detector
from penstock.errors import BundleError, MissingExtra, RegistryError
from penstock.identity.roles import Right
from penstock.models.bundle import CARD, read_manifest
from penstock.models.bundle import read_evaluation as kept_evaluation
from penstock.offline.evaluation import Evaluation, read_evaluation
from penstock.offline.measure import in_force_of
from penstock.offline.stages.card import ModelCard, no_card, page, read_card
from penstock.outcomes import known_rate
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.operation import answer, text_content
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import filled, json_answer, page_answer
from penstock.service.http.route import Routes
from penstock.wiring.registries import open_registry

NOT_KEPT = (
    "this version was trained before its test was kept with it, so there are figures and no curves: train again to have them"
)


class Figure(msgspec.Struct):
    """A figure of the test data."""

    name: Annotated[str, Meta(description="Such as average_precision.")]
    value: Annotated[float | None, Meta(description="Its value; null where it means nothing.")]
    low: Annotated[float | None, Meta(description="Where its 95 % interval begins; null where none was made.")]
    high: Annotated[float | None, Meta(description="Where that ends.")]
    of: Annotated[
        int | None, Meta(description="Known outcomes that precision and recall are taken over, 30 at least; null of others.")
    ] = None


class MemberFigures(msgspec.Struct):
    """The figures of one ensemble member alone."""

    name: Annotated[str, Meta(description="Its name.")]
    weight: Annotated[float | None, Meta(description="Its share of the ensemble.")]
    figures: Annotated[dict[str, float | None], Meta(description="By name.")]


class CalibrationBin(msgspec.Struct):
    """Test rows with probabilities in one bin."""

    low: Annotated[float, Meta(description="Where it begins.")]
    high: Annotated[float, Meta(description="Where it ends.")]
    count: Annotated[int, Meta(description="Rows in it.")]
    frauds: Annotated[int, Meta(description="Frauds among them.")]
    predicted: Annotated[float, Meta(description="Their mean probability.")]
    observed: Annotated[float, Meta(description="The share of fraud among them.")]
    observed_low: Annotated[float, Meta(description="Where the 95 % interval of that share begins.")]
    observed_high: Annotated[float, Meta(description="Where that ends.")]


class CurvePoint(msgspec.Struct):
    """A point of the precision-recall curve."""

    recall: Annotated[float, Meta(description="Share of frauds found.")]
    precision: Annotated[float, Meta(description="Share of fraud among what is flagged.")]


class ThresholdRow(msgspec.Struct):
    """The effect on the test data of stopping everything from a score on. Between two rows only few events change."""

    at: Annotated[float, Meta(description="The threshold: scores from here are stopped.")]
    flagged: Annotated[int, Meta(description="Rows of the test from here on.")]
    frauds: Annotated[int, Meta(description="Frauds among them.")]
    precision: Annotated[float | None, Meta(description="frauds / flagged; null below 30 of these.")]
    recall: Annotated[float | None, Meta(description="frauds / all frauds of the test; null below 30 of these.")]
    false_positive_rate: Annotated[float | None, Meta(description="Share of good ones from here on; null below 30 of these.")]
    alerts_per_day: Annotated[float | None, Meta(description="flagged a day; the reviews, were nothing blocked at once.")]
    amount_stopped: Annotated[float | None, Meta(description="What the flagged ones are worth.")]
    amount_caught: Annotated[float | None, Meta(description="What the frauds among them are worth.")]
    amount_caught_share: Annotated[float | None, Meta(description="The same of the worth of all frauds.")]
    precision_low: Annotated[float | None, Meta(description="Where the precision's 95 % interval (Wilson) begins.")] = None
    precision_high: Annotated[float | None, Meta(description="Where that ends.")] = None
    recall_low: Annotated[float | None, Meta(description="Where the recall's 95 % interval (Wilson) begins.")] = None
    recall_high: Annotated[float | None, Meta(description="Where that ends.")] = None


class ModelEvaluation(msgspec.Struct):
    """The evaluation of a version on its test data."""

    detector: Annotated[str, Meta(description="Whose models.")]
    version: Annotated[str, Meta(description="Which version.")]
    created_at: Annotated[str, Meta(description="When it was trained.")]
    data: Annotated[str | None, Meta(description="The name of the data it was trained on.")]
    periods: Annotated[
        dict[str, Any], Meta(description="Training, validation and test: first and last event time; label delay.")
    ]
    rows: Annotated[dict[str, int], Meta(description="Rows by part: train, valid, test.")]
    fraud: Annotated[dict[str, int], Meta(description="Frauds by part.")]
    features: Annotated[list[str], Meta(description="What it reads.")]
    thresholds: Annotated[dict[str, float], Meta(description="As the training chose: review_at, block_at.")]
    in_force: Annotated[
        dict[str, float], Meta(description="As they are where it decides: what the detector declares wins; 1: never.")
    ]
    figures: Annotated[list[Figure], Meta(description="Of the ensemble, on the test.")]
    members: Annotated[list[MemberFigures], Meta(description="Of each member alone.")]
    calibration: Annotated[list[CalibrationBin] | None, Meta(description="Probability against truth; null: see `reason`.")]
    precision_recall: Annotated[list[CurvePoint] | None, Meta(description="The curve, thinned out; null: see `reason`.")]
    table: Annotated[list[ThresholdRow] | None, Meta(description="Thresholds, lowest first, at most 400; null: see `reason`.")]
    days: Annotated[float | None, Meta(description="How many days of traffic the test stands for; null: see `reason`.")]
    total_amount: Annotated[float | None, Meta(description="What the rows of the test are worth; null where they do not say.")]
    fraud_amount: Annotated[float | None, Meta(description="What its frauds are worth; null where they do not say.")]
    card: Annotated[bool, Meta(description="Whether it has a model card.")]
    reason: Annotated[str | None, Meta(description="Why curves and table are missing; null where they are there.")]
    notes: Annotated[list[str], Meta(description="What is worth knowing before believing the figures.")]


def evaluation_of(settings: Settings, detector: Detector, version: str) -> ModelEvaluation:
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
    return ModelEvaluation(
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
            MemberFigures(each["name"], each["weight"], dict((metrics.get("members") or {}).get(each["name"]) or {}))
            for each in manifest["members"]
        ],
        calibration=None if found is None else _calibration(found),
        precision_recall=None if found is None else _curve(found),
        table=None if found is None else _table(found),
        days=None if found is None else found.days,
        total_amount=None if found is None else found.amount,
        fraud_amount=None if found is None else found.fraud_amount,
        card=CARD in manifest["files"],
        reason=NOT_KEPT if found is None else None,
        notes=list(manifest.get("notes") or []),
    )


def _figures(metrics: Mapping[str, Any]) -> list[Figure]:
    intervals, rates = metrics.get("intervals") or {}, metrics.get("rates") or {}
    found = []
    for name, value in (metrics.get("test") or {}).items():
        low, high = intervals.get(name) or (None, None)
        found.append(Figure(name, value, low, high, (rates.get(name) or {}).get("of")))
    return found


def _calibration(found: Evaluation) -> list[CalibrationBin]:
    return [filled(CalibrationBin, each) for each in found.calibration]


def _curve(found: Evaluation) -> list[CurvePoint]:
    return [CurvePoint(recall, precision) for recall, precision in zip(found.recall, found.precision, strict=True)]


def _table(found: Evaluation) -> list[ThresholdRow]:
    goods = found.rows - found.frauds
    return [
        ThresholdRow(
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


def card_of(settings: Settings, detector: str, version: str) -> ModelCard:
    """The model card of a version. Waits for a disk or a network.

    Raises:
        RequestRefused: 404 there is no such version, or it has no card; 503 the registry does not answer.
    """
    try:
        card = read_card(open_registry(settings).fetch(detector, version))
    except BundleError as error:
        raise RequestRefused(404, str(error)) from None
    except (RegistryError, MissingExtra) as error:
        raise RequestRefused(503, str(error)) from None
    if card is None:
        raise RequestRefused(404, no_card(detector, version))
    return card


# ---------------------------------------------------------------- routes

route = Routes("models")

_CARD = answer(ModelCard)
_CARD["content"] |= text_content("text/html", "<!doctype html><title>Model card</title>")


@route("GET", "/detectors/{name}/models/{version}/evaluation", Right.READ, refuses=(404,))
async def get_model_evaluation(router: DetectorRouter, settings: Settings, /, name: str, version: str) -> ModelEvaluation:
    """The evaluation of a version on its test data: figures with intervals, curves, and the effect of each threshold."""
    return await asyncio.to_thread(evaluation_of, settings, router.named(name).engine.detector, version)


@route("GET", "/detectors/{name}/models/{version}/card", Right.READ, answers=ModelCard, refuses=(404,), responses={200: _CARD})
async def get_model_card(
    router: DetectorRouter,
    settings: Settings,
    /,
    name: str,
    version: str,
    request: Request,
    form: Annotated[
        Literal["json", "html"] | None,
        Query(alias="format", description="Values, or a page; unless given, a page where the header Accept prefers one."),
    ] = None,
) -> Response:
    """The model card of a version: data, figures with intervals, thresholds, segments with disparity, and limits."""
    found = await asyncio.to_thread(card_of, settings, router.named(name).engine.detector.name, version)
    if form is None and _prefers_page(request.headers.get("accept", "")):
        form = "html"
    return page_answer(await asyncio.to_thread(page, found)) if form == "html" else json_answer(found)


def _prefers_page(accept: str) -> bool:
    """Whether a header names HTML, and JSON not before it, as those of browsers do."""
    html, plain = accept.find("text/html"), accept.find("application/json")
    return html >= 0 and not 0 <= plain < html
