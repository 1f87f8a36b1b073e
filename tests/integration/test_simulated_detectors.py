"""The built-in detectors over simulated traffic: hard enough for each feature, learnable for all of them together."""

import asyncio
import importlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import httpx
import polars as pl
import pytest

from penstock import Detector, Engine, replay
from penstock.config import Settings
from penstock.messages import Decision
from penstock.offline.simulate import simulate
from penstock.offline.train import train
from penstock.service import MicroBatcher, create_app


def auc(score: pl.Series, fraud: pl.Series) -> float:
    """The share of (fraud, honest) pairs that the score orders rightly, whichever way it points; missing is the median."""
    values = score.cast(pl.Float64)
    ranks = values.fill_null(values.median()).rank("average")
    frauds, honest = fraud.sum(), (~fraud).sum()
    share = (ranks.filter(fraud).sum() - frauds * (frauds + 1) / 2) / (frauds * honest)
    return max(share, 1 - share)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["banking", "card", "ecommerce", "mobile_money", "payments"])
def test_no_feature_of_a_detector_alone_separates_the_classes(name):
    detector = importlib.import_module(f"penstock.detectors.{name}").detector
    profile = importlib.import_module(f"penstock.detectors.{name}.profile").profile
    frame = simulate(profile, events=60_000, seed=12, fraud_rate=0.02)
    fraud = frame["attack"].is_not_null()
    replayed = replay(detector, frame)
    assert replayed[profile.id].equals(frame[profile.id])
    telling = {
        feature: auc(replayed[feature], fraud)
        for feature in detector.plan.inputs
        if feature in replayed.columns and replayed[feature].null_count() < len(replayed)
    }
    assert len(telling) > (15 if name == "payments" else 30)
    assert {feature: round(value, 3) for feature, value in telling.items() if value > 0.9} == {}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Callable[[str], tuple[Path, dict]]:
    """A detector trained on simulated payments of sixty days, once for all tests: the folder of its bundle, and its figures."""

    @cache
    def of(name: str) -> tuple[Path, dict]:
        folder = tmp_path_factory.mktemp(name)
        profile = importlib.import_module(f"penstock.detectors.{name}.profile").profile
        report = train(declared(name), simulate(profile, events=150_000, seed=1, days=60), save_to=folder)
        return folder, report.test

    return of


def declared(name: str) -> Detector:
    return importlib.import_module(f"penstock.detectors.{name}").detector


def samples_of(name: str) -> list[dict]:
    return json.loads(
        (Path(importlib.import_module(f"penstock.detectors.{name}").__file__).parent / "samples.json").read_text()
    )


@pytest.mark.slow
def test_all_features_together_find_nearly_all_frauds(trained):
    _, figures = trained("banking")
    assert figures["roc_auc"] > 0.97
    assert figures["recall_at_fpr_0.01"] > 0.85


@pytest.mark.slow
def test_the_sample_events_are_predicted_as_marked(trained):
    samples = samples_of("banking")
    engine = Engine(declared("banking"), models=trained("banking")[0])
    decisions = [engine.decide(sample["event"]) for sample in samples]
    assert wrong(samples, decisions) == {}
    by_model = [decision for decision in decisions if decision.explanation.decision_reason == "ml_probability"]
    assert len(by_model) == 2
    assert all(decision.explanation.reasons for decision in by_model)


def wrong(samples: list[dict], decisions: list[Decision]) -> dict[str, object]:
    """What was predicted otherwise than marked, with its scores."""
    pairs = zip(samples, decisions, strict=True)
    return {sample["about"]: decision.scores for sample, decision in pairs if decision.prediction != sample["prediction"]}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["card", "mobile_money", "payments"])
def test_the_samples_of_the_others_are_predicted_as_marked(name, trained):
    samples = samples_of(name)
    engine = Engine(declared(name), models=trained(name)[0])
    assert wrong(samples, [engine.decide(sample["event"]) for sample in samples]) == {}


# ---------------------------------------------------------------- payments that come again

A_CARD_AT_NIGHT = {
    "event": {
        "amount": 1500.0,
        "category": "online_retail",
        "hour": 2,
        "day_of_week": 3,
        "latitude": 37.77,
        "longitude": -122.42,
    },
    "about": "The seven fields alone: a purchase online at night, in a category that nobody has seen.",
}


def three_times(name: str, event: dict) -> list[dict]:
    """The same payment without an id, one minute apart."""
    detector = declared(name)
    first = datetime.fromisoformat(event.get(detector.time, "2026-02-06T10:00:00Z"))
    same = {field: value for field, value in event.items() if field not in (detector.id, "step")}
    return [same | {detector.time: (first + timedelta(minutes=minute)).isoformat()} for minute in range(3)]


def unlike(name: str, samples: list[dict], models: Path) -> dict[str, list[tuple[str, float | None]]]:
    """The samples that are decided otherwise when they come again, each in a state where nobody else has paid."""
    found = {}
    for sample in samples:
        engine = Engine(declared(name), models=models)
        decisions = [engine.decide(event) for event in three_times(name, sample["event"])]
        if len({decision.prediction for decision in decisions}) > 1:
            found[sample["about"]] = [(decision.decision, decision.fraud_probability) for decision in decisions]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["banking", "card", "mobile_money", "payments"])
def test_a_payment_that_comes_again_is_decided_alike(name, trained):
    samples = samples_of(name) + ([A_CARD_AT_NIGHT] if name == "card" else [])
    assert unlike(name, samples, trained(name)[0]) == {}


@pytest.mark.slow
def test_the_seven_payments_are_predicted_as_marked_each_time_over_http(trained, tmp_path):
    settings = Settings(data=tmp_path)
    events = [(sample, event) for sample in samples_of("banking") for event in three_times("banking", sample["event"])]

    async def predictions() -> list[str]:
        engine = Engine(declared("banking"), models=trained("banking")[0], data=tmp_path)
        app = create_app({"banking": MicroBatcher.of(engine, settings)}, settings)
        async with (
            app.app.router.lifespan_context(app.app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost", timeout=120) as client,
        ):
            return [(await client.post("/predict", json=event)).json()["prediction"] for _, event in events]

    assert asyncio.run(predictions()) == [sample["prediction"] for sample, _ in events]
