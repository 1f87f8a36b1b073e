"""The model card: what a person should know about a version before relying on it, in the bundle as `card.json` and as a page.

It says whose figures it gives: those of rows that the measured models had not seen, also where the served ones were fitted
again. After Mitchell and others, "Model cards for model reporting" (2019).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

import penstock
from penstock.clock import EVER_US
from penstock.decoding import prepared
from penstock.detector import Detector
from penstock.errors import BundleError
from penstock.features import Aggregate
from penstock.models import Ensemble
from penstock.models.bundle import CARD, MANIFEST, RETRAIN, read_card_bytes, read_manifest
from penstock.offline.pages import render
from penstock.outcomes import LEAST_KNOWN, Rate

MEASURED = "the served models, which had not seen the test"
BY_HAND = "set by hand after training: the evaluation of the version says what to expect of them"
DAY_US = 86_400_000_000


class CardData(msgspec.Struct, frozen=True):
    """What a version was trained and measured on."""

    file: Annotated[str, Meta(description="Its name.")]
    label: Annotated[str | None, Meta(description="The field with the outcome.")]
    label_delay_s: Annotated[float, Meta(description="How long outcomes take to become known, in seconds.")]
    periods: Annotated[dict[str, list[str] | None], Meta(description="First and last instant of each part.")]
    rows: Annotated[dict[str, int], Meta(description="Events of each part whose outcome was known in time.")]
    frauds: Annotated[dict[str, int], Meta(description="Frauds among them.")]
    unknown: Annotated[dict[str, int], Meta(description="Events of each part that count for nothing: no outcome in time.")]
    refused: Annotated[int, Meta(description="Rows of the file that were no valid events.")]


class CardServed(msgspec.Struct, frozen=True):
    """What the models that serve were fitted on."""

    refit: Annotated[bool, Meta(description="Whether they were fitted again on all labelled history after being measured.")]
    period: Annotated[list[str], Meta(description="Its first and last instant.")]
    rows: Annotated[int, Meta(description="Events.")]
    frauds: Annotated[int, Meta(description="Frauds among them.")]


class CardMember(msgspec.Struct, frozen=True):
    """A member of the ensemble."""

    name: Annotated[str, Meta(description="Its name.")]
    weight: Annotated[float, Meta(description="Its share of the score.")]
    parameters: Annotated[dict[str, Any], Meta(description="Its kind and hyperparameters.")]
    figures: Annotated[dict[str, float | None], Meta(description="Its own figures on the test.")]


class CardFeatures(msgspec.Struct, frozen=True):
    """The inputs of the models."""

    used: Annotated[list[str], Meta(description="What they read.")]
    dropped: Annotated[list[str], Meta(description="What the training left out, since it adds nothing.")]
    useless: Annotated[list[str] | None, Meta(description="What adds no more than noise; null where nobody looked.")]


class CardFigure(msgspec.Struct, frozen=True):
    """A figure of the test."""

    name: Annotated[str, Meta(description="Such as average_precision.")]
    value: Annotated[float | None, Meta(description="Its value; null where it means nothing, or rests on too few outcomes.")]
    low: Annotated[float | None, Meta(description="Where its 95 % interval begins.")] = None
    high: Annotated[float | None, Meta(description="Where that ends.")] = None


class CardThresholds(msgspec.Struct, frozen=True):
    """Where reviews and blocks begin, and what to expect of that."""

    review_at: Annotated[float, Meta(description="Probability from which events are reviewed.")]
    block_at: Annotated[float, Meta(description="Probability from which they are blocked.")]
    in_force: Annotated[dict[str, float], Meta(description="The same with those that the detector's policy declared.")]
    chosen_by: Annotated[str, Meta(description="fpr, capacity, cost or hand.")]
    expected: Annotated[
        dict[str, Rate] | None, Meta(description="Rates of those in force; null for thresholds set after training.")
    ]
    expected_on: Annotated[str, Meta(description="The events that the rates are taken over.")]


class Disparity(msgspec.Struct, frozen=True):
    """A group's false positive rate over that of everybody else."""

    ratio: Annotated[float, Meta(description="1 where both are alike.")]
    low: Annotated[float, Meta(description="Where its 95 % interval begins.")]
    high: Annotated[float, Meta(description="Where that ends.")]
    differs: Annotated[bool, Meta(description="Whether the interval does not hold 1.")]


class CardSegment(msgspec.Struct, frozen=True):
    """Figures of a group of the test at the threshold in force."""

    rows: Annotated[int, Meta(description="Events.")]
    frauds: Annotated[int, Meta(description="Frauds among them.")]
    false_positive_rate: Annotated[Rate, Meta(description="Of the good ones, those that were stopped.")]
    recall: Annotated[Rate, Meta(description="Of the frauds, those that were stopped.")]
    precision: Annotated[Rate, Meta(description="Of those that were stopped, the frauds.")]
    average_precision: Annotated[float | None, Meta(description="Of the group alone.")]
    average_precision_interval: Annotated[list[float] | None, Meta(description="Its 95 % interval.")]
    disparity: Annotated[Disparity | None, Meta(description="Of false positives; null where too few outcomes are known.")]


class ModelCard(msgspec.Struct, frozen=True):
    """The card of a model version."""

    detector: Annotated[str, Meta(description="The detector's name.")]
    detector_version: Annotated[str, Meta(description="Its version at training, a digest of everything it declares.")]
    fingerprint: Annotated[str, Meta(description="Digest of the definitions of the features that the models read.")]
    penstock: Annotated[str, Meta(description="The version of Penstock that trained.")]
    data: Annotated[CardData, Meta(description="What it was trained and measured on.")]
    served: Annotated[CardServed, Meta(description="What the models that serve were fitted on.")]
    members: Annotated[list[CardMember], Meta(description="The members of the ensemble.")]
    features: Annotated[CardFeatures, Meta(description="Their inputs.")]
    figures_of: Annotated[str, Meta(description="Whose figures these are.")]
    figures: Annotated[list[CardFigure], Meta(description="Of the ensemble on the test.")]
    thresholds: Annotated[CardThresholds, Meta(description="Where reviews and blocks begin.")]
    segments: Annotated[
        dict[str, dict[str, CardSegment]], Meta(description="By segmentation and group; empty where none was asked for.")
    ]
    limits: Annotated[list[str], Meta(description="What the models do not know, and what the figures do not say.")]
    notes: Annotated[list[str], Meta(description="What the training noted.")]
    version: Annotated[str | None, Meta(description="The version; its bundle's file does not hold it.")] = None
    created_at: Annotated[str | None, Meta(description="When it was made; its bundle's file does not hold it.")] = None


# ---------------------------------------------------------------- what a training writes


def card_of(detector: Detector, ensemble: Ensemble, report: Mapping[str, Any], data: str) -> ModelCard:
    """The card of a training. It holds no time and no version, so that the same training gives the same bundle.

    Args:
        detector: the one that the models belong to.
        ensemble: the models that serve.
        report: of the training, as plain values.
        data: the name of what was recorded.
    """
    refit, useless, periods = report["refit"], report["useless"], dict(report["periods"])
    delay_s = periods.pop("label_delay_s")
    periods = {part: span for part, span in periods.items() if part in report["rows"]}
    served = (
        CardServed(True, refit["period"], refit["rows"], refit["fraud"])
        if refit
        else CardServed(False, periods["train"], report["rows"]["train"], report["fraud"]["train"])
    )
    return ModelCard(
        detector=detector.name,
        detector_version=detector.version,
        fingerprint=detector.fingerprint(ensemble.features),
        penstock=penstock.__version__,
        data=CardData(
            file=Path(data).name,
            label=detector.label.field if detector.label else None,
            label_delay_s=delay_s,
            periods=periods,
            rows=report["rows"],
            frauds=report["fraud"],
            unknown=report["unknown"],
            refused=report["refused"],
        ),
        served=served,
        members=[
            CardMember(part.name, float(weight), dict(part.declared), report["members"].get(part.name, {}))
            for part, weight in zip(ensemble.parts, ensemble.weights, strict=True)
        ],
        features=CardFeatures(
            used=list(ensemble.features),
            dropped=useless["dropped"] if useless else [],
            useless=useless["useless"] if useless else None,
        ),
        figures_of=refit["figures_of"] if refit else MEASURED,
        figures=[
            CardFigure(name, value, *(report["intervals"].get(name) or (None, None))) for name, value in report["test"].items()
        ],
        thresholds=_thresholds(ensemble, report),
        segments=msgspec.convert(report["segments"], prepared(dict[str, dict[str, CardSegment]])),
        limits=_limits(detector, ensemble, report, served),
        notes=list(report["notes"]),
    )


def _thresholds(ensemble: Ensemble, report: Mapping[str, Any]) -> CardThresholds:
    """Those of the bundle. Of a refit, the rates are those of the predictions that its thresholds were chosen on."""
    refit, at = report["refit"], ensemble.thresholds
    in_force, expected, on = report["thresholds_in_force"], report["decided_rates"], "the test"
    if refit:
        in_force, expected = refit["thresholds_in_force"], refit["expected"]
        on = "the validation and the test, each predicted by models that had not seen it; the thresholds were chosen on them"
    rates = msgspec.convert(expected, prepared(dict[str, Rate]))
    return CardThresholds(at["review_at"], at["block_at"], in_force, report["choice"].get("by", "hand"), rates, on)


def _limits(detector: Detector, ensemble: Ensemble, report: Mapping[str, Any], served: CardServed) -> list[str]:
    first, last = (each[:10] for each in served.period)
    found = [f"The models have learned from events from {first} to {last}: they know no fraud that began later."]
    for name, encoding in ensemble.encodings.items():
        found.append(f"{name}: {len(encoding.values):,} values were seen in training; all others count as one.")
    windows = [feature.window_us for feature in detector.features if isinstance(feature, Aggregate)]
    limited = [window for window in windows if window < EVER_US]
    if windows:
        days = f"up to {max(limited) / DAY_US:g} days" if limited else ""
        reach = " or ".join(filter(None, (days, "to the first event" if len(limited) < len(windows) else "")))
        found.append(
            f"Features look back {reach}. A key without history looks like that of a new customer, and without recorded history"
            " every key does: load it before the first decision (`penstock load`)."
        )
    unknown = sum(report["unknown"].values())
    if unknown:
        found.append(f"{unknown:,} events without an outcome in time count for nothing: figures are those of known outcomes.")
    found.append(f"Rates over fewer than {LEAST_KNOWN} known outcomes are not shown.")
    if not report["segments"]:
        found.append("Nothing says whether groups of customers are treated alike: no segments were given (`--segments`).")
    return found


def with_thresholds(card: ModelCard, thresholds: Mapping[str, float]) -> ModelCard:
    """The card of the same models with thresholds that a person set; those that the policy declares stay in force."""
    old, at = card.thresholds, {name: thresholds[name] for name in ("review_at", "block_at")}
    declared = {name: value for name, value in old.in_force.items() if value != getattr(old, name)}
    changed = CardThresholds(**at, in_force=at | declared, chosen_by="hand", expected=None, expected_on=BY_HAND)
    return msgspec.structs.replace(card, thresholds=changed, version=None, created_at=None)


# ---------------------------------------------------------------- reading


def read_card(folder: Path) -> ModelCard | None:
    """The card of a bundle with its version; None in a bundle that was made without.

    Raises:
        BundleError: there is no bundle, it was changed, or a newer Penstock wrote the card.
    """
    manifest, body = read_manifest(folder), read_card_bytes(folder)
    if body is None:
        return None
    try:
        card = msgspec.json.decode(body, type=prepared(ModelCard))
    except msgspec.DecodeError as error:
        again = RETRAIN.format(detector=manifest["detector"])
        raise BundleError(f"{folder / CARD} cannot be read as a model card ({error}); upgrade Penstock, or {again}") from None
    return msgspec.structs.replace(card, version=manifest["version"], created_at=manifest["created_at"])


def no_card(detector: str, version: str) -> str:
    """Why a version has no card, and what to do."""
    again = RETRAIN.format(detector=detector)
    return f"version {version} was made before {CARD} was part of bundles, so it has no card; {again}, or read its {MANIFEST}"


def page(card: ModelCard) -> str:
    """The card as a self-contained HTML page."""
    return render("card.html", card=card)
