"""What is decided on later days: models and rules together, by what the data says happened."""

import numpy as np
import polars as pl
import pytest
from tests.unit.offline.conftest import declared

from penstock import Policy, Rule, replay
from penstock.offline.datasets import read
from penstock.offline.evaluate import evaluate
from penstock.offline.train import run


@pytest.fixture
def evaluated(frame):
    detector = declared(rules=[Rule("large", "amount > 150", then="block")], policy=Policy(block_at=0.9))
    recorded = read(frame, detector)
    trained = run(detector, recorded)
    attacks = frame.select("id", attack=pl.when("fraud").then(pl.lit("theft")))
    return detector, frame, trained, evaluate(detector, recorded, trained, attacks=attacks)


def test_decisions_are_those_of_a_replay_in_the_time_of_the_test(evaluated):
    detector, frame, trained, found = evaluated
    decided = replay(detector, frame, trained.ensemble).join(frame.select("id", "fraud", "amount"), on="id", suffix="_e")
    test = decided.filter(pl.col("id").is_in(trained.test.ids.tolist()))
    stopped, fraud = (test["decision"] != "APPROVE").to_numpy(), test["fraud"].to_numpy()
    assert (found["events"], found["frauds"]) == (len(test), fraud.sum())
    assert found["decisions"]["recall"] == pytest.approx(stopped[fraud].mean())
    assert found["decisions"]["false_positive_rate"] == pytest.approx(stopped[~fraud].mean())
    worth = test["amount"].to_numpy() * fraud
    assert found["decisions"]["value_detection_rate"] == pytest.approx(worth[stopped].sum() / worth.sum())
    assert found["score"]["roc_auc"] == pytest.approx(trained.report.test["roc_auc"])


def test_rules_alone_are_told_apart(evaluated):
    _, frame, trained, found = evaluated
    test = frame.filter(pl.col("id").is_in(trained.test.ids.tolist()) & pl.col("fraud"))
    assert found["by_rules"]["recall"] == pytest.approx((test["amount"] > 150).mean())
    assert found["by_rules"]["recall"] < found["decisions"]["recall"]


def test_attacks_are_counted_once_each(evaluated):
    found = evaluated[3]
    assert found["attacks"]["theft"]["frauds"] == found["frauds"]
    assert found["attacks"]["theft"]["stopped"] == pytest.approx(found["decisions"]["recall"])
    assert np.isfinite(found["decisions"]["saved"])
