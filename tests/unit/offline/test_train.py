"""Training as a whole: repeatable, in time order, honest about what is unknown, and open to every wish it advertises."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from tests.unit.offline.conftest import START, declared, payments

from penstock import BalancedBagging, LogisticRegression, Policy, RandomForest
from penstock.detector import Apart, Recipe
from penstock.errors import ConfigurationError
from penstock.models import load_bundle
from penstock.offline.thresholds import ByCapacity, ByCost
from penstock.offline.train import Options, keep, run, train

FOREST = RandomForest(trees=8, depth=4)


def test_the_same_command_twice_gives_the_same_bundle(frame, tmp_path):
    models = [LogisticRegression(imbalance="smote"), FOREST]
    wishes = Options(trials=2, choice=ByCost(), seed=5)
    versions = []
    for place in ("once", "twice"):
        detector = declared(models)
        trained = keep(detector, run(detector, frame, wishes), tmp_path / place, clock=lambda: 0)
        versions.append(trained.report.model_version)
        assert (tmp_path / place / "small" / trained.report.model_version / "manifest.json").is_file()
    assert versions[0] == versions[1]
    other = declared(models)
    another_seed = keep(other, run(other, frame, replace(wishes, seed=6)), tmp_path / "third", clock=lambda: 0)
    assert another_seed.report.model_version != versions[0]


def test_the_bundle_holds_what_was_trained_on_and_how_thresholds_were_chosen(frame, tmp_path):
    detector = declared()
    trained = keep(detector, run(detector, frame, Options(choice=ByCapacity(2.0))), tmp_path, clock=lambda: 0)
    told = load_bundle(trained.report.saved_to).manifest["training"]
    assert told["rows"] == trained.report.rows
    assert told["choice"]["by"] == "capacity"
    assert told["choice"]["on"]["reviews_per_day"] <= 2.0
    assert len(told["curve"]) > 20
    assert trained.ensemble.thresholds == {name: trained.report.thresholds[name] for name in ("review_at", "block_at")}


def test_texts_unseen_in_training_count_as_the_training_prior(frame):
    detector = declared()
    new = frame.with_columns(branch=pl.when(pl.int_range(pl.len()) > 2800).then(pl.lit("new")).otherwise("branch"))
    trained = run(detector, new)
    encoding = trained.ensemble.encodings["branch"]
    assert "new" not in encoding.values
    column = trained.test.x[:, detector.plan.inputs.index("branch")]
    assert (column[trained.test.texts["branch"].texts == "new"] == encoding.unseen).all()


def test_rows_that_nobody_knew_in_time_are_left_out_and_counted(frame):
    """A label that came after the next part began is no label for that part."""
    late = frame.with_columns(
        label_known_at=pl.when(pl.int_range(pl.len()) % 10 == 0)
        .then(pl.lit(START.replace(year=2027)))
        .otherwise(pl.col("time") + pl.duration(days=1))
    )
    report = run(declared(), late).report
    assert all(0.08 < report.unknown[part] / report.rows[part] < 0.15 for part in ("train", "valid"))
    assert report.unknown["test"] == 0


def test_what_was_stopped_and_never_labelled_is_never_taken_for_good(frame):
    """Where every large payment was blocked, its silence must not teach that large payments are good."""
    blocked = frame["amount"].to_numpy() > 40
    rng = np.random.default_rng(1)
    looked_into = rng.random(len(frame)) < 0.2
    decided = frame.with_columns(
        decision=pl.Series(np.where(blocked, "BLOCK", "APPROVE")),
        fraud=pl.Series(np.where(blocked & ~looked_into, False, frame["fraud"].to_numpy())),
        label_known_at=pl.when(pl.Series(~blocked | looked_into)).then(pl.col("time") + pl.duration(days=1)),
    )
    trained = run(declared(), decided)
    ids = set(trained.study.final.fit.ids) | set(trained.study.judged.ids) | set(trained.test.ids)
    silent = set(frame["id"].to_numpy()[blocked & ~looked_into])
    assert not ids & silent
    weights = trained.study.folds[0].weights
    stopped = trained.study.folds[0].fit.stopped
    assert weights[stopped].min() > 3
    assert weights[~stopped].max() == 1


def test_folds_train_on_the_past_and_report_every_test(frame):
    report = run(declared(), frame, Options(folds=3)).report
    tests = [fold["periods"]["test"] for fold in report.folds]
    assert len(tests) == 3
    assert tests == sorted(tests)
    mean = report.as_json()["mean_over_folds"]["roc_auc"]
    assert mean == pytest.approx(np.mean([fold["test"]["roc_auc"] for fold in report.folds]))
    assert report.test == report.folds[-1]["test"]


def test_folds_and_times_together_are_refused(frame):
    with pytest.raises(ConfigurationError, match=r"leave out --test-from"):
        run(declared(), frame, Options(folds=3, test_from=datetime(2026, 2, 1, tzinfo=UTC)))


def test_a_kind_that_is_not_declared_can_be_trained_by_its_name(frame):
    report = train(declared(), frame, models=["logistic_regression", "balanced_bagging"])
    assert set(report.members) == {"logistic_regression", "balanced_bagging"}
    with pytest.raises(ConfigurationError, match=r"declares no model 'random_forst'.*random_forest"):
        train(declared(), frame, models=["random_forst"])


def test_declared_weights_stay_and_open_ones_are_chosen(frame):
    kept = run(declared([LogisticRegression(weight=3.0), BalancedBagging(trees=5, weight=1.0)]), frame).report
    assert kept.weights == {"logistic_regression": 0.75, "balanced_bagging": 0.25}
    chosen = run(declared([LogisticRegression(), BalancedBagging(trees=5, depth=1)]), frame).report
    assert chosen.weights["logistic_regression"] > 0.5


def test_the_report_says_where_the_policy_overrules_the_validation(frame):
    declared_policy = run(declared(policy=Policy(review_at=0.5, block_at=0.8)), frame).report
    assert declared_policy.in_force == {"review_at": 0.5, "block_at": 0.8}
    assert any("policy holds review_at=0.5 and block_at=0.8" in note for note in declared_policy.notes)
    left_open = run(declared(), frame).report
    assert left_open.in_force == {name: left_open.thresholds[name] for name in ("review_at", "block_at")}


def test_treatments_of_imbalance_are_compared_on_the_same_test(frame):
    report = run(declared(), frame, Options(treatments=True)).report
    assert set(report.treatments["logistic_regression"]) == {"none", "weights", "smote", "smoteenn", "under"}
    assert report.treatments["logistic_regression"]["none"]["roc_auc"] == pytest.approx(report.test["roc_auc"])


RECIPE = Recipe(
    rows=2000, hold_out=500, folds=3, imbalance="under", apart=Apart("the first fortnight", datetime(2026, 1, 15, tzinfo=UTC))
)


def test_a_recipe_splits_by_count_without_a_gap_and_says_so(frame):
    trained = run(declared([FOREST], training=RECIPE), frame)
    report = trained.report
    assert report.rows == {"train": 2000, "valid": 0, "test": 500}
    assert trained.test.ids.tolist() == frame["id"].to_list()[2000:2500]
    assert any("no time is left out for labels" in note for note in report.notes)
    assert trained.ensemble.parts[0].declared["imbalance"] == "under"


def test_a_recipe_is_left_aside_where_times_are_given(frame):
    report = run(declared(training=RECIPE), frame, Options(test_from=datetime(2026, 2, 15, tzinfo=UTC))).report
    assert report.rows["valid"] > 0
    assert report.apart is None


def test_a_recipe_gives_every_figure_with_and_without_what_it_sets_apart(frame):
    report = run(declared([FOREST], training=RECIPE), frame).report
    apart = report.apart
    first = frame.head(2000).filter(pl.col("time") < datetime(2026, 1, 15, tzinfo=UTC))
    assert (apart["rows"], apart["frauds"]) == (len(first), first["fraud"].sum())
    assert apart["hold_out"]["with"] == report.test
    for how in ("hold_out", "cross_validation", "shuffled"):
        assert set(apart[how]) == {"with", "without"}
        assert apart[how]["without"]["roc_auc"] != apart[how]["with"]["roc_auc"]


def test_fewer_events_than_the_recipe_wants_are_divided_in_its_proportion():
    report = run(declared(training=RECIPE), payments(1000)).report
    assert report.rows == {"train": 800, "valid": 0, "test": 200}
