"""Training beside LightGBM and Optuna by hand: python evaluation/against_lightgbm.py [--handbook FILE] [--quick] [--json].

Both sides get the same features, the same parts in time, and as many trials of the same metric. The hand-written side is what
a practised person writes in an afternoon: LightGBM with early stopping inside the training time, Optuna over its usual
hyperparameters judged on the validation, and a last fit with the best of them. Figures are of later days that neither saw.
"""

import argparse
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import optuna
from _table import say, table
from handbook import detector as handbook_detector

from penstock import LightGBM, LogisticRegression, RandomForest, XGBoost
from penstock.models import metrics
from penstock.models.calibration import Calibration
from penstock.models.fit import choose_weights, fit_member, outputs
from penstock.offline import protocol
from penstock.offline.datasets import read
from penstock.offline.folds import Fold, Folds
from penstock.offline.options import Options
from penstock.offline.periods import Periods
from penstock.offline.protocol import TEST_FOLDS, VALIDATION_FOLDS
from penstock.offline.rows import Rows, replayed
from penstock.offline.simulate import simulate
from penstock.offline.stages.early_stopping import Stopping, stopping_of
from penstock.offline.train import run
from penstock.offline.tune import tune
from penstock.wiring.detectors import load_detector
from penstock.wiring.traffic.events import profile_of

NAMES = ("card", "banking")
EVENTS, DAYS, VALID_DAY, TEST_DAY = 360_000, 90, 40, 60
TRIALS = 20
MODELS = ("xgboost", "lightgbm")
MOST_TREES, PATIENCE = 2000, 50


# ---------------------------------------------------------------- by hand


def by_hand(grow: Fold, stop: Any, judged: list[Fold], features: tuple[str, ...], trials: int) -> tuple[dict[str, Any], int]:
    """Hyperparameters and number of trees with the highest mean average precision on the judged rows."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial: optuna.Trial) -> float:
        parameters = suggested(trial)
        booster = lightgbm.train(
            {**parameters, "metric": "average_precision"},
            lightgbm.Dataset(grow.fit.x, grow.fit.fraud),
            MOST_TREES,
            valid_sets=[lightgbm.Dataset(stop.x, stop.fraud)],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        trial.set_user_attr("trees", booster.best_iteration)
        found = []
        for fold in judged:
            again = lightgbm.train(parameters, lightgbm.Dataset(fold.fit.x, fold.fit.fraud), booster.best_iteration)
            found.append(metrics.average_precision(np.asarray(again.predict(fold.judge.x)), fold.judge.fraud))
        return float(np.mean(found))

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=trials)
    best = study.best_trial
    return suggested(optuna.trial.FixedTrial(best.params)), int(best.user_attrs["trees"])


def suggested(trial: Any) -> dict[str, Any]:
    """The ranges of Optuna's own LightGBM example, with the learning rate and the fraud weight beside."""
    return {
        "objective": "binary",
        "verbosity": -1,
        "seed": 0,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "bagging_freq": 1,
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.2, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 8, 256, log=True),
        "min_child_samples": trial.suggest_int("min_child_samples", 5, 100),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.4, 1.0),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.4, 1.0),
        "lambda_l1": trial.suggest_float("lambda_l1", 1e-8, 10.0, log=True),
        "lambda_l2": trial.suggest_float("lambda_l2", 1e-8, 10.0, log=True),
        "scale_pos_weight": trial.suggest_float("scale_pos_weight", 1.0, 20.0, log=True),
    }


# ---------------------------------------------------------------- simulated traffic


def simulated(name: str, events: int, trials: int, seed: int = 1) -> dict[str, dict[str, Any]]:
    """Figures on the last thirty days; fitted before day 40, chosen before day 60."""
    detector = load_detector(name)
    frame = simulate(profile_of(name), events=events, seed=seed, days=DAYS)
    begin = frame[detector.time].min()
    times = {"valid_from": begin + timedelta(days=VALID_DAY), "test_from": begin + timedelta(days=TEST_DAY)}
    recorded = read(frame, detector)
    say(f"{name}: training with {trials} trials a model")
    trained = run(detector, recorded, Options(**times, models=MODELS, trials=trials))
    test = trained.test
    split = trained.report.periods
    assert isinstance(split, Periods)
    study = trained.study
    stopping = stopping_of(study, split.delay_us)
    assert stopping is not None
    say(f"{name}: LightGBM and Optuna by hand with {2 * trials} trials")
    parameters, trees = by_hand(stopping.fold, stopping.fold.judge, [study.final], study.features, len(MODELS) * trials)
    booster = lightgbm.train(parameters, lightgbm.Dataset(study.final.fit.x, study.final.fit.fraud), trees)
    score = np.asarray(booster.predict(test.x))
    return {
        "penstock train": _figures(trained.scores.ensemble, test),
        "LightGBM and Optuna by hand": _figures(score, test),
        **{f"penstock train, {each} alone": _figures(trained.scores.members[:, at], test) for at, each in enumerate(MODELS)},
    }


def _figures(score: Any, rows: Rows) -> dict[str, Any]:
    interval = metrics.intervals(score, rows.fraud, rows.card)["average_precision"]
    return {
        "average_precision": metrics.average_precision(score, rows.fraud),
        "interval": interval,
        "roc_auc": metrics.roc_auc(score, rows.fraud),
        "recall_at_fpr_0.01": metrics.recall_at_fpr(score, rows.fraud, 0.01),
    }


# ---------------------------------------------------------------- the Handbook


def handbook(path: Path, trials: int) -> dict[str, dict[str, Any]]:
    """Means over the protocol's test folds; everything is chosen on its validation folds."""
    features = handbook_detector.plan.inputs
    rows = replayed(handbook_detector, read(path, handbook_detector))
    validation = [_fold(rows, day, features) for day in VALIDATION_FOLDS]
    tests = [_fold(rows, day, features) for day in TEST_FOLDS]
    # a week of training has no room for early stopping inside, so trees stop on the earliest validation fold
    folds = Folds(tuple(validation[:-1]), validation[-1], features)
    stopping = Stopping(validation[-1], "the earliest validation fold")
    declared = [XGBoost(), LightGBM(), RandomForest(trees=100, depth=30, features=0.4), LogisticRegression()]
    models = []
    for model in declared:
        say(f"handbook: {model.name}")
        models.append(tune(model, folds, trials, seed=0, stopping=stopping).model)
    judged = [_raw(models, fold, features) for fold in validation]
    y = np.concatenate([fold.judge.fraud for fold in validation])
    stacked = np.concatenate(judged)
    curves = [Calibration.fit(column, y, prior=float(y.mean())) for column in stacked.T]
    shares = choose_weights(_probabilities(curves, stacked), y, [None] * len(models))
    say("handbook: LightGBM and Optuna by hand")
    parameters, trees = by_hand(validation[-1], validation[-1].judge, validation[:-1], features, len(declared) * trials)
    ours, hand, alone = [], [], []
    for day, fold in zip(TEST_FOLDS, tests, strict=True):
        of_book = protocol.FoldRows.starting(day, rows)
        raw = _raw(models, fold, features)
        ours.append(protocol.figures(of_book, rows, _probabilities(curves, raw) @ np.array(shares)))
        alone.append([protocol.figures(of_book, rows, column) for column in raw.T])
        booster = lightgbm.train(parameters, lightgbm.Dataset(fold.fit.x, fold.fit.fraud), trees)
        hand.append(protocol.figures(of_book, rows, np.asarray(booster.predict(fold.judge.x))))
    singles = {f"{model.name} alone": protocol.mean([fold[at] for fold in alone]) for at, model in enumerate(models)}
    return {"penstock train": protocol.mean(ours), "LightGBM and Optuna by hand": protocol.mean(hand), **singles}


def _fold(rows: Rows, day: Any, features: tuple[str, ...]) -> Fold:
    found = protocol.FoldRows.starting(day, rows)
    return Fold.of(rows.take(found.train), rows.take(found.test), features)


def _raw(models: list[Any], fold: Fold, features: tuple[str, ...]) -> Any:
    members = [fit_member(model, fold.fit.x, fold.fit.fraud, features, seed=0) for model in models]
    return np.column_stack([outputs(member, np.ascontiguousarray(fold.judge.x)) for member in members])


def _probabilities(curves: list[Calibration], raw: Any) -> Any:
    return np.column_stack([curve.apply(np.ascontiguousarray(column)) for curve, column in zip(curves, raw.T, strict=True)])


COLUMNS = {
    "average_precision": "average precision",
    "interval": "95 % interval",
    "roc_auc": "ROC AUC",
    "recall_at_fpr_0.01": "recall at 1 % FPR",
    "card_precision_at_100": "card precision@100",
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=NAMES, help="simulated sets")
    parser.add_argument("--handbook", type=Path, metavar="FILE", help="the Handbook's transactions, for its protocol too")
    parser.add_argument("--trials", type=int, default=TRIALS, help="for each model")
    parser.add_argument("--quick", action="store_true", help="a sixth of the events, two trials")
    parser.add_argument("--json", action="store_true", help="one JSON value on standard output")
    given = parser.parse_args()
    tries = 2 if given.quick else given.trials
    results = {name: simulated(name, EVENTS // 6 if given.quick else EVENTS, tries) for name in given.names}
    if given.handbook is not None:
        results["Handbook's protocol"] = handbook(given.handbook, tries)
    text = "\n\n".join(table(name, each, COLUMNS) for name, each in results.items())
    sys.stdout.write((json.dumps(results, indent=1) if given.json else text) + "\n")
