"""Inputs that add nothing are told from those that do, beside noise, and dropped only as far as nothing is lost."""

import numpy as np
import pytest
from tests.unit.offline.conftest import declared, payments

from penstock import XGBoost, derive
from penstock.models import load_bundle, metrics
from penstock.offline.stages.useless import _weighted
from penstock.offline.train import Options, keep, run

FEATURES = [*declared().features, derive("seconds", "minute(time)")]
INPUTS = ["amount", "branch", "customer_count_1d", "usual", "seconds"]


@pytest.fixture(scope="module")
def subject():
    model = XGBoost(trees=40, learning_rate=0.2, max_bin=64)
    return declared([model], features=FEATURES, inputs=INPUTS)


@pytest.fixture(scope="module")
def frame():
    return payments(6000)


def test_what_says_nothing_is_named_and_what_says_something_is_not(subject, frame):
    trained = run(subject, frame, Options(useless="name"))
    found = trained.report.useless
    assert "seconds" in found["useless"]
    assert not {"amount", "branch"} & set(found["useless"])
    amount = found["inputs"]["amount"]
    assert amount["low"] <= amount["loss"] <= amount["high"]
    assert amount["low"] > found["noise"]
    assert found["dropped"] == []
    assert trained.ensemble.features == tuple(INPUTS)
    assert any("--drop-useless" in note for note in trained.report.notes)


def test_what_is_dropped_is_no_input_of_the_bundle_and_costs_nothing(subject, frame, tmp_path):
    plain = run(subject, frame)
    trained = keep(subject, run(subject, frame, Options(useless="drop")), tmp_path, clock=lambda: 0)
    kept = load_bundle(trained.report.saved_to)
    assert {"amount", "branch"} <= set(kept.features)
    assert "seconds" not in kept.features
    assert kept.features == trained.report.features
    assert trained.report.test["average_precision"] > plain.report.test["average_precision"] - 0.03


def test_too_few_frauds_name_nothing(subject):
    assert run(subject, payments(600), Options(useless="name")).report.useless is None


def test_weighted_precision_counts_rows_as_often_as_their_weights_say():
    rng = np.random.default_rng(0)
    score, y = rng.random(50).round(1), (rng.random(50) < 0.4).astype(float)
    weights = rng.integers(0, 4, 50)
    again = np.repeat(np.arange(50), weights)
    expected = [metrics.average_precision(score, y), metrics.average_precision(score[again], y[again])]
    assert _weighted(score, y, [np.ones(50), weights.astype(float)]) == pytest.approx(expected)
