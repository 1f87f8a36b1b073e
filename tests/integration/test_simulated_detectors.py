"""The built-in detectors over simulated traffic: hard enough for each feature, learnable for all of them together."""

import importlib
import json
from pathlib import Path

import polars as pl
import pytest

from penstock import Engine, replay
from penstock.detectors import banking
from penstock.detectors.banking.profile import profile as banking_profile
from penstock.messages import Decision
from penstock.offline.simulate import simulate
from penstock.offline.train import train


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
def trained(tmp_path_factory) -> tuple[Path, dict]:
    """Banking trained on simulated payments of sixty days, as the demo does it."""
    folder = tmp_path_factory.mktemp("models")
    report = train(banking.detector, simulate(banking_profile, events=150_000, seed=1, days=60), save_to=folder)
    return folder, report.test


@pytest.mark.slow
def test_all_features_together_find_nearly_all_frauds(trained):
    _, figures = trained
    assert figures["roc_auc"] > 0.97
    assert figures["recall_at_fpr_0.01"] > 0.85


@pytest.mark.slow
def test_the_sample_events_are_predicted_as_marked(trained):
    samples = json.loads((Path(banking.__file__).parent / "samples.json").read_text())
    engine = Engine(banking.detector, models=trained[0])
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
def test_the_samples_of_the_others_are_predicted_as_marked(name, tmp_path):
    module = importlib.import_module(f"penstock.detectors.{name}")
    profile = importlib.import_module(f"penstock.detectors.{name}.profile").profile
    train(module.detector, simulate(profile, events=150_000, seed=1, days=60), save_to=tmp_path)
    samples = json.loads((Path(module.__file__).parent / "samples.json").read_text())
    engine = Engine(module.detector, models=tmp_path)
    assert wrong(samples, [engine.decide(sample["event"]) for sample in samples]) == {}
