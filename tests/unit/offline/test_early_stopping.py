"""Early stopping: the number of trees comes from later rows inside the training time, with the label delay kept."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.offline.conftest import declared, payments

from penstock import LightGBM, XGBoost
from penstock.errors import DataError
from penstock.models.fit import fit_member, fit_stopped, outputs
from penstock.offline.datasets import read
from penstock.offline.folds import held_out
from penstock.offline.rows import replayed
from penstock.offline.stages.early_stopping import note_on, stopping_of, with_trees
from penstock.offline.train import Options, run
from penstock.offline.tune import tune

DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def folds():
    detector = declared()
    rows = replayed(detector, read(payments(6000), detector))
    return held_out(rows.take(np.arange(4000)), rows.take(np.arange(4000, 6000)), detector.plan.inputs)


def matrices(seed, n=2000):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    return x, (rng.random(n) < 1 / (1 + np.exp(3 - 2 * x[:, 0]))).astype(float)


@pytest.mark.parametrize("model", [XGBoost(learning_rate=0.3), LightGBM(learning_rate=0.3)])
def test_a_model_that_stopped_is_the_one_that_declares_as_many_trees(model):
    x, y = matrices(0)
    later, names = matrices(1), ["a", "b", "c"]
    found, member = fit_stopped(model, x, y, later, names, seed=3)
    assert 1 <= found.trees < 200
    again = fit_member(found, x, y, names, seed=3)
    assert np.array_equal(outputs(member, x), outputs(again, x))
    assert fit_stopped(model, x, y, later, names, seed=3)[0] == found


def test_a_declared_number_of_trees_is_kept_and_later_rows_need_both_classes():
    x, y = matrices(0)
    assert fit_stopped(XGBoost(trees=7), x, y, matrices(1), ["a", "b", "c"])[0].trees == 7
    with pytest.raises(DataError, match="both classes"):
        fit_stopped(XGBoost(), x, y, (x, np.zeros(len(x))), ["a", "b", "c"])


def test_later_rows_lie_inside_the_training_time_and_a_label_delay_behind(folds):
    stopping = stopping_of(folds, 2 * DAY_US)
    grown, stopped, train = stopping.fold.fit, stopping.fold.judge, folds.final.fit
    begins = stopped.time_us.min()
    assert grown.time_us.max() < begins - 2 * DAY_US + DAY_US / 10
    assert grown.known_us.max() <= begins
    assert stopped.time_us.max() == train.time_us.max() < folds.final.judge.time_us.min()
    assert 0.15 < len(stopped) / len(train) < 0.25


def test_texts_of_the_grown_part_stand_for_what_that_part_says(folds):
    stopping = stopping_of(folds, 2 * DAY_US)
    assert stopping.fold.encodings["branch"].values != folds.final.encodings["branch"].values


def test_weights_of_stopped_events_go_along(folds):
    weights = np.arange(1.0, 1 + len(folds.final.fit))
    weighted = replace(folds, final=replace(folds.final, weights=weights))
    stopping = stopping_of(weighted, 2 * DAY_US)
    kept = np.isin(folds.final.fit.ids, stopping.fold.fit.ids)
    assert np.array_equal(stopping.fold.weights, weights[kept])


def test_a_training_time_shorter_than_the_delay_stops_on_the_validation_and_says_so(folds):
    stopping = stopping_of(folds, 100 * DAY_US)
    assert stopping.fold is folds.final
    model = with_trees(XGBoost(), stopping, folds.features, seed=0)
    assert "too short" in note_on(XGBoost(), model, stopping)[0]


def test_too_few_frauds_leave_the_number_of_trees_and_say_so(folds):
    few = folds.final.fit.take(np.arange(60))
    poor = held_out(few, few, folds.features)
    assert stopping_of(poor, 0) is None
    assert with_trees(XGBoost(), None, folds.features, seed=0).trees is None
    assert "fewer than 20 frauds" in note_on(XGBoost(), XGBoost(), None)[0]


def test_every_trial_finds_its_own_number_of_trees(folds):
    found = tune(XGBoost(), folds, 3, seed=0, stopping=stopping_of(folds, 2 * DAY_US))
    assert len({trial["trees"] for trial in found.trials}) > 1
    assert found.as_json()["best"]["trees"] == found.model.trees


def test_time_ends_a_search_after_two_trials_and_the_same_number_repeats_it(folds):
    timed = tune(LightGBM(trees=5), folds, 50, seed=0, seconds=0.0)
    assert timed.timed_out
    assert len(timed.trials) == 2
    assert tune(LightGBM(trees=5), folds, 2, seed=0).model == timed.model


def test_the_search_varies_the_leaves_of_lightgbm(folds):
    found = tune(LightGBM(trees=5), folds, 4, seed=0)
    assert len({trial["leaves"] for trial in found.trials}) > 2


def test_the_bundle_declares_the_number_that_was_found():
    report = run(declared([XGBoost(learning_rate=0.3)]), payments(4000), Options())
    assert isinstance(report.served.parts[0].declared["trees"], int)
    assert any("by early stopping" in note for note in report.report.notes)


def test_a_budget_is_what_was_asked_for_and_a_search_of_its_own_accord_needs_frauds():
    detector = declared()
    assert Options(trials=3).budget(detector, 0) == (3, float("inf"))
    assert Options(minutes=2).budget(detector, 0) == (1000, 120)
    assert Options().budget(detector, 1000).trials == 0
    assert Options(search=True).budget(detector, 1000) == (20, 600)
    assert Options(search=True).budget(detector, 49).trials == 0
