"""One event, and batches of 1,000, through each kind of model and two ensembles, beside the libraries' own predict_proba.

Every kind as it comes (100 or 200 trees), 20 features, 12,000 training rows (with --quick 2,400), 5 % of the values missing;
one thread each. Ours is the whole way from float64 rows to calibrated probabilities; theirs is predict_proba of the very model
that was trained. What both say of 1,000 rows is compared first. Contributions stand beside XGBoost's pred_contribs; the last
rows are the cost of explaining one decision with trees of depth 8, and with deeper ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from _report import Row, best_of, main
from threadpoolctl import threadpool_limits
from trees import FEATURES, rows_and_outcomes

from penstock.models import (
    BalancedBagging,
    Ensemble,
    GradientBoosting,
    IsolationForest,
    LightGBM,
    LogisticRegression,
    Model,
    RandomForest,
    XGBoost,
    fit_ensemble,
)
from penstock.models.sklearn_trees import bounded

ONE, MANY = 20.0, 1.5
"""How many times faster than predict_proba: one event, each of 1,000."""

Rows = np.ndarray
Score = Callable[[Rows], Any]

TOGETHER = 20
"""Calls timed as one where a call takes microseconds: long for the clock, short beside what else the machine does."""


@dataclass
class Case:
    """A trained model of ours, and the library's own as a function from rows to something that ranks as its probability."""

    model: Model
    ensemble: Ensemble
    library: str
    score: Score
    compared: Callable[[Rows], Rows] | None = None

    @property
    def member(self) -> Any:
        return self.ensemble.parts[0].member


def run(quick: bool) -> list[Row]:
    x, y = rows_and_outcomes(3_000 if quick else 15_000, seed=0)
    probe = rows_and_outcomes(1_000, seed=1)[0]
    repeats = 10 if quick else 40
    with threadpool_limits(1):
        cases = [make(model, x, y) for model in models()]
        result = [row for case in cases for row in (*equality(case, probe), *speed(case, probe, repeats))]
        result += ensembles({case.model.name: case for case in cases}, x, y, probe, repeats)
        return result + explanations(x, y, probe, repeats, (1, 100) if quick else (1, 1000))


def models() -> list[Model]:
    return [
        LogisticRegression(),
        RandomForest(),
        GradientBoosting(),
        XGBoost(),
        LightGBM(),
        IsolationForest(),
        BalancedBagging(),
    ]


def fitted(declared: list[Model], x: Rows, y: Rows) -> Ensemble:
    train = len(x) * 4 // 5
    return fit_ensemble(declared, x[:train], y[:train], x[train:], y[train:], FEATURES, seed=1)


# ---------------------------------------------------------------- the libraries


def make(model: Model, x: Rows, y: Rows) -> Case:
    ensemble = fitted([model], x, y)
    train = len(x) * 4 // 5
    member, a, b = ensemble.parts[0].member, x[:train], y[:train]
    match model:
        case LogisticRegression():
            return Case(model, ensemble, "scikit-learn pipeline", pipeline(a, b).predict_proba)
        case XGBoost():
            import xgboost

            booster = xgboost.XGBClassifier(n_jobs=1)
            booster.load_model(bytearray(member.attachments["xgboost.json"]))
            raw = booster.get_booster()
            raw.set_param({"nthread": 1})
            return Case(
                model, ensemble, "xgboost", booster.predict_proba, lambda r: raw.inplace_predict(r, predict_type="margin")
            )
        case LightGBM():
            return lightgbm_case(model, ensemble, a, b)
        case IsolationForest():
            forest = model.train(a, seed=1)
            return Case(model, ensemble, "scikit-learn", forest.score_samples, lambda r: np.log2(-forest.score_samples(r)))
        case GradientBoosting():
            boosted = model.train(a, b, seed=1)
            below = lambda r: bounded(np.where(np.isnan(r), -1e30, r))  # noqa: E731  it takes no missing values
            return Case(
                model,
                ensemble,
                "scikit-learn",
                lambda r: boosted.predict_proba(below(r)),
                lambda r: boosted.decision_function(below(r)),
            )
    trained = model.train(a, b, seed=1).set_params(n_jobs=1)
    name = "imbalanced-learn" if isinstance(model, BalancedBagging) else "scikit-learn"
    return Case(model, ensemble, name, trained.predict_proba, lambda r: trained.predict_proba(r)[:, 1])


def pipeline(x: Rows, y: Rows) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression as Solver
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), Solver()).fit(x, y)


def lightgbm_case(model: LightGBM, ensemble: Ensemble, x: Rows, y: Rows) -> Case:
    import lightgbm

    parameters = model._parameters(1)
    classifier = lightgbm.LGBMClassifier(n_estimators=model.trees, n_jobs=1, **parameters)
    classifier.fit(x, y)
    return Case(model, ensemble, "lightgbm", classifier.predict_proba, lambda r: classifier.booster_.predict(r, raw_score=True))


# ---------------------------------------------------------------- rows


def equality(case: Case, probe: Rows) -> list[Row]:
    if case.compared is None:
        return []
    found = np.empty(len(probe))
    case.member.fill(probe, found)
    furthest = float(np.abs(found - case.compared(probe)).max())
    return [Row.at_most(f"{case.model.name}: furthest from {case.library}", furthest, "raw output", 1e-6)]


def speed(case: Case, probe: Rows, repeats: int) -> list[Row]:
    name, theirs = case.model.name, f"{case.library} predict_proba"
    return [
        compare(f"{name}, 1 event", case.ensemble.score, case.score, probe, 1, theirs, ONE, repeats),
        compare(f"{name}, 1,000 events", case.ensemble.score, case.score, probe, 1000, theirs, MANY, repeats),
    ]


def compare(name: str, ours: Score, theirs: Score, probe: Rows, n: int, reference: str, target: float, repeats: int) -> Row:
    batch = np.ascontiguousarray(probe[:n])
    ours_us = us_a_call(ours, batch, repeats, TOGETHER if n == 1 else 1) / n
    theirs_us = us_a_call(theirs, batch, repeats if n == 1 else max(3, repeats // 5), 1) / n
    return Row.shorter(name, ours_us, "us/event", reference, theirs_us, target=target)


def us_a_call(work: Score, rows: Rows, repeats: int, together: int) -> float:
    """Microseconds, the best of several; never less than what is timed at once."""
    work(rows)
    return best_of(repeats, lambda: [work(rows) for _ in range(together)]) / together * 1e6


def ensembles(cases: dict[str, Case], x: Rows, y: Rows, probe: Rows, repeats: int) -> list[Row]:
    """Those of the detectors banking and payments."""
    result = []
    for first, second in (("logistic_regression", "xgboost"), ("isolation_forest", "xgboost")):
        both = [cases[first], cases[second]]
        ensemble = fitted([case.model for case in both], x, y)
        theirs = lambda rows, both=both: [case.score(rows) for case in both]  # noqa: E731
        for n, target in ((1, ONE), (1000, MANY)):
            name = f"{first} + {second}, {n:,} event{'s' if n > 1 else ''}"
            result.append(
                compare(name, ensemble.score, theirs, probe, n, "both libraries, one after the other", target, repeats)
            )
    return result


def explanations(x: Rows, y: Rows, probe: Rows, repeats: int, batches: Sequence[int]) -> list[Row]:
    import xgboost

    result = []
    for depth in (6, 8):
        ensemble = fitted([XGBoost(trees=200, depth=depth, min_child_weight=0.1)], x, y)
        member = ensemble.parts[0].member
        booster = xgboost.Booster({"nthread": 1}, model_file=bytearray(member.attachments["xgboost.json"]))
        for n in batches:
            rows = np.ascontiguousarray(probe[:n])
            matrix = xgboost.DMatrix(rows, feature_names=FEATURES)
            theirs = us_a_call(lambda m, b=booster: b.predict(m, pred_contribs=True), matrix, 10 if n == 1 else 1, 1) / n
            ours = us_a_call(member.contributions, rows, repeats if n == 1 else 2, 1) / n
            name = f"contributions, 200 trees of depth {depth}, {n:,} event{'s' if n > 1 else ''}"
            result.append(Row.shorter(name, ours, "us/event", "xgboost pred_contribs", theirs, target=5))
        furthest = np.abs(member.contributions(rows) - booster.predict(matrix, pred_contribs=True)[:, :-1]).max()
        result.append(Row.at_most(f"contributions, depth {depth}: furthest from xgboost", float(furthest), "log-odds", 1e-5))
        cost = us_a_call(ensemble.contributions, probe[:1], repeats, 1)
        result.append(Row.at_most(f"a decision explained, 200 trees of depth {depth}", cost, "us", 1000))
    for model in (RandomForest(), RandomForest(depth=16), BalancedBagging(depth=16)):
        cost = us_a_call(fitted([model], x, y).contributions, probe[:1], repeats, 1)
        result.append(Row.figure(f"a decision explained, {model.name}, {model.trees} trees of depth {model.depth}", cost, "us"))
    return result


if __name__ == "__main__":
    main(run)
