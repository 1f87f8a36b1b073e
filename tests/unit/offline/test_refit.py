"""The refit: what serves has learned from all that is known, and its thresholds hold on days that nobody has seen."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from tests.unit.offline.conftest import START, declared, payments

from penstock import LogisticRegression, RandomForest, XGBoost
from penstock.clock import to_us
from penstock.models import load_bundle
from penstock.offline.datasets import read
from penstock.offline.rows import replayed
from penstock.offline.thresholds import ByRate
from penstock.offline.train import Options, keep, run

FOREST = RandomForest(trees=20, depth=5)


def test_it_learns_from_everything_that_was_known_a_label_delay_before_the_end(frame):
    detector = declared([FOREST])
    trained = run(detector, frame)
    said, end = trained.report.refit, frame["time"].max()
    until = end - timedelta(days=2)
    assert said["rows"] == len(frame.filter(pl.col("time") < until))
    assert said["rows"] > trained.report.rows["train"] + trained.report.rows["valid"]
    assert datetime.fromisoformat(said["period"][1]) < until
    assert trained.served.usual.tolist() != trained.ensemble.usual.tolist()


def test_labels_that_came_early_do_not_bring_events_of_the_last_days_in(frame):
    """Of these only the frauds would be there, and their time would pass for a sign of fraud."""
    early = frame.with_columns(
        label_known_at=pl.when("fraud")
        .then(pl.col("time") + pl.duration(hours=1))
        .otherwise(pl.col("time") + pl.duration(days=2))
    )
    said = run(declared([FOREST]), early).report.refit
    assert said["fraud"] / said["rows"] == pytest.approx(float(frame["fraud"].mean()), abs=0.01)


def test_figures_stay_those_of_the_models_before_and_everybody_says_so(frame, tmp_path):
    detector = declared([FOREST])
    alone, again = (run(detector, frame, Options(refit=flag)) for flag in (False, True))
    assert alone.report.refit is None
    assert alone.served is alone.ensemble
    assert again.report.test == alone.report.test
    assert again.report.thresholds == alone.report.thresholds
    kept = keep(detector, again, tmp_path, clock=lambda: 0)
    manifest = load_bundle(kept.report.saved_to).manifest
    assert manifest["training"]["refit"] == kept.report.as_json()["refit"] == again.report.refit
    assert manifest["thresholds"] == again.report.refit["thresholds"]
    assert "had not seen the test" in manifest["training"]["refit"]["figures_of"]
    assert any("fitted again on all" in note for note in kept.report.notes)
    assert kept.served.version == kept.report.model_version
    assert kept.ensemble.version is None


def test_weights_trees_and_hyperparameters_are_carried_over(frame):
    models = [LogisticRegression(), XGBoost(learning_rate=0.3, max_bin=64)]
    trained = run(declared(models), frame, Options(trials=2))
    for before, after in zip(trained.ensemble.parts, trained.served.parts, strict=True):
        assert (before.weight, before.declared) == (after.weight, after.declared)
    assert trained.served.parts[1].declared["trees"] == len(trained.served.parts[1].member.forest.roots)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_thresholds_hold_on_later_days(seed):
    """A share of 3 % of the good ones was to be reviewed; on two later months it is, within the intervals of both samples."""
    asked, days = 0.03, 120
    frame = payments(24_000, seed=seed, days=days)
    detector = declared([XGBoost(learning_rate=0.2, max_bin=128), LogisticRegression()])
    cut = START + timedelta(days=60)
    trained = run(detector, frame.filter(pl.col("time") < cut), Options(choice=ByRate(review_fpr=asked)))
    rows = replayed(detector, read(frame, detector))
    later = rows.take(rows.time_us >= to_us(cut))
    scores = trained.served.score(later.encoded(trained.served.encodings, detector.plan.inputs).x).ensemble
    good = later.fraud == 0
    reviewed = scores >= trained.served.thresholds["review_at"]
    chosen_on = trained.report.refit["calibrated_on"]
    fit = chosen_on["rows"] - chosen_on["fraud"]
    spread = np.sqrt(asked * (1 - asked) * (1 / fit + 1 / good.sum()))
    assert abs(reviewed[good].mean() - asked) < 2.6 * spread
    assert abs(scores.mean() - later.fraud.mean()) < 0.01  # calibrated, too


def test_the_same_arguments_give_the_same_refit(frame):
    detector = declared([FOREST])
    first, second = (run(detector, frame, Options(seed=3)) for _ in range(2))
    x = np.ascontiguousarray(first.test.x)
    assert np.array_equal(first.served.score(x).ensemble, second.served.score(x).ensemble)
    other = run(detector, frame, replace(Options(), seed=4))
    assert not np.array_equal(first.served.score(x).ensemble, other.served.score(x).ensemble)
