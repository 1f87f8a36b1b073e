"""What every detector of the package has, found by its entry point."""

import importlib
import json
from importlib.metadata import entry_points
from pathlib import Path

import msgspec
import polars as pl
import pytest

from penstock import Detector
from penstock.offline.datasets import read
from penstock.offline.simulate import EXTRA, Profile, simulate, submitted
from penstock.service.records.definitions import fields_of

FILES = {
    "__init__.py",
    "alerts.toml",
    "features.py",
    "profile.py",
    "recorded.py",
    "samples.json",
}
MODELS = {
    "banking": {"logistic_regression": 0.5, "xgboost": 0.5},
    "card": {"xgboost"},
    "mobile_money": {"gradient_boosting"},
    "payments": {"isolation_forest": 0.3, "xgboost": 0.7},
}
"""Those of ecommerce are tested with its recipe."""
REVIEWED_FROM = {"banking": 0.2, "mobile_money": 0.5, "ecommerce": 0.5, "card": None, "payments": None}
BUILT_IN = sorted(point.name for point in entry_points(group="penstock.detectors") if point.module.startswith("penstock."))


@pytest.fixture(params=BUILT_IN)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def detector(name) -> Detector:
    return importlib.import_module(f"penstock.detectors.{name}").detector


@pytest.fixture
def profile(name) -> Profile:
    return importlib.import_module(f"penstock.detectors.{name}.profile").profile


@pytest.fixture
def samples(name) -> list[dict]:
    folder = Path(importlib.import_module(f"penstock.detectors.{name}").__file__).parent
    return json.loads((folder / "samples.json").read_text())


def test_there_are_five():
    assert set(BUILT_IN) >= {"banking", "card", "ecommerce", "mobile_money", "payments"}


def test_each_folder_has_the_same_files(name):
    folder = Path(importlib.import_module(f"penstock.detectors.{name}").__file__).parent
    found = {path.name for path in folder.iterdir() if path.name != "__pycache__"}
    assert found >= FILES
    assert {Path(name).suffix for name in found - FILES} <= {
        ".csv",
        ".py",
    }  # tables that its lookups read, and what one alone needs


def test_it_is_named_like_its_folder_and_declared_without_a_warning(name, detector, profile):
    assert detector.name == name == profile.name
    assert detector.warnings == []


def test_every_field_of_the_event_says_what_it_means(detector):
    described = {field.name: field.description for field in fields_of(detector, detector.schema.events[0], {})}
    assert described
    assert [name for name, description in described.items() if not description] == []


def test_the_profile_makes_the_columns_of_the_event(detector, profile):
    fields = {field.encode_name for field in msgspec.structs.fields(detector.event)}
    frame = simulate(profile, events=50, seed=1)
    assert set(frame.columns) - set(EXTRA) == fields
    assert (profile.id, profile.time, profile.label) == (detector.id, detector.time, detector.label.field)


def test_simulated_events_are_valid_as_they_are_submitted(detector, profile):
    decoder = msgspec.json.Decoder(detector.event)
    for event in submitted(profile, simulate(profile, events=50, seed=2)):
        decoder.decode(msgspec.json.encode(event))


@pytest.mark.parametrize("suffix", ["csv", "parquet", "ndjson"])
def test_simulated_files_are_read_as_recorded_events(detector, profile, suffix, tmp_path):
    frame = simulate(profile, events=200, seed=3, fraud_rate=0.2)
    path = tmp_path / f"month.{suffix}"
    getattr(frame, f"write_{suffix}")(path)
    recorded = read(path, detector)
    assert recorded.refused.is_empty()
    assert recorded.frame[detector.id].to_list() == frame[profile.id].to_list()
    assert recorded.frame["label_known_at"].to_list() == frame["label_known_at"].to_list()
    assert recorded.frame[detector.label.field].sum() == frame[profile.label].sum()


def test_samples_are_events_with_an_expected_prediction(detector, samples):
    decoder = msgspec.json.Decoder(detector.event, strict=True)
    for sample in samples:
        assert sample["prediction"] in ("LEGIT", "FRAUD")
        assert sample["about"].endswith(".")
        decoder.decode(json.dumps(sample["event"]))


def test_the_models_read_neither_the_label_nor_the_id(detector):
    assert not {detector.label.field, detector.id, detector.time} & set(detector.plan.inputs)


def test_every_input_has_a_phrase_for_people(name, detector):
    spoken = set(detector.words) | {f"uses_{browser}" for browser in ("chrome", "firefox", "ie", "opera", "safari")}
    assert set(detector.plan.inputs) - spoken == set()


@pytest.mark.parametrize("name", MODELS)
def test_the_models_are_those_that_the_page_names(name, detector):
    declared = MODELS[name]
    assert {model.name for model in detector.models} == set(declared)
    if isinstance(declared, dict):
        assert {model.name: model.weight for model in detector.models} == declared


def test_a_failing_model_means_a_person_looks(detector):
    assert (detector.policy.block_at, detector.policy.on_failure) == (0.8, "review")


@pytest.mark.parametrize("name", REVIEWED_FROM)
def test_where_a_review_begins_is_declared_or_left_to_training(name, detector):
    assert detector.policy.review_at == REVIEWED_FROM[name]


def test_no_two_detectors_claim_the_same_event():
    detectors = [importlib.import_module(f"penstock.detectors.{name}").detector for name in BUILT_IN]
    required = {detector.name: detector.schema.needed for detector in detectors}
    for detector in detectors:
        fields = {field.encode_name for field in msgspec.structs.fields(detector.event)}
        assert [name for name, needs in required.items() if needs <= fields] == [detector.name]


def test_the_reference_page_names_every_feature_and_rule(name, detector):
    page = Path(__file__).parents[3] / "docs" / "reference" / "detectors" / f"{name}.md"
    text = page.read_text(encoding="utf-8")
    missing = [feature for feature in detector.plan.features if f"`{feature}`" not in text]
    missing += [rule.name for rule in detector.rules if f"`{rule.name}`" not in text]
    assert missing == []


def test_features_of_banking_have_the_names_people_know():
    from penstock.detectors.banking import detector

    assert {
        "count_last_1h",
        "amount_last_1h",
        "avg_amount_7d",
        "amount_ratio",
        "hour_of_day",
        "day_of_week",
        "is_night",
    } <= set(detector.plan.features)
    assert [(rule.name, rule.then) for rule in detector.rules] == [("amount_spike", "review"), ("night_high_value", "block")]


def test_features_of_ecommerce_have_the_names_people_know():
    from penstock.detectors.ecommerce import detector

    assert {
        "txn_count",
        "device_ip_consistency",
        "device_source_consistency",
        "time_setup_to_txn_seconds",
        "time_since_last_device_txn",
        "purchase_deviation_from_device_mean",
        "device_lifespan",
        "device_fraud_rate",
        "country",
        "gdp_usd_millions",
    } <= set(detector.plan.features)


def test_other_usual_column_names_are_understood_by_banking():
    from penstock.detectors.banking.recorded import adapt

    frame = pl.DataFrame({"Customer": ["C1"], "merchant": ["M1"], "amt": [3.5], "lon": [1.0], "time": ["2026-01-01"], "x": [1]})
    assert adapt(frame).columns == ["customer_id", "merchant_id", "amount", "long", "timestamp", "x"]
