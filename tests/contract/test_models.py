"""What every kind of model promises; the kinds are found by their files."""

import hashlib
import json
import math
import subprocess
import sys
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
from tests.onnx_files import logistic

from penstock import Detector, Engine, Policy
from penstock.errors import DataError, DeclarationError
from penstock.models import About, fit_ensemble, save
from penstock.models.bundle import forms
from penstock.models.kinds import kinds
from penstock.models.sklearn_trees import bounded

FEATURES = ["amount", "count_1h", "ratio", "always_missing", "constant"]


def make_rows(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5))
    x[:, 0] = np.exp(4 + x[:, 0])
    y = (rng.random(n) < 1 / (1 + np.exp(-(x[:, 1] + x[:, 2] - 1)))).astype(float)
    x[rng.random(x.shape) < 0.1] = np.nan
    x[:, 3], x[:, 4] = np.nan, 1.0
    return x, y


def raw(member, x):
    out = np.empty(len(x))
    member.fill(x, out)
    return out


UNSUPERVISED = {"isolation_forest"}
"""Kinds that learn what is usual, not what is fraud."""

READY = {"onnx"}
"""Kinds that come trained."""


@pytest.fixture(scope="module")
def declare(tmp_path_factory):
    """Kinds by name, with few trees: what holds for ten holds for hundreds."""

    def declared(name, **options):
        kind = kinds()[name]
        if name in READY:
            path = tmp_path_factory.mktemp("onnx") / "model.onnx"
            path.write_bytes(logistic([0.001, 1.0, 1.0, 0.0, 0.0], -1.0))
            options["path"] = str(path)
        if "trees" in kind.__struct_fields__:
            options = {"trees": 40} | options
        return kind(**options)

    return declared


@pytest.fixture(params=sorted(kinds()), scope="module")
def model(request, declare):
    return declare(request.param)


@pytest.fixture(scope="module")
def member(model):
    return model.fit(*make_rows(1000), FEATURES, seed=1)


def test_the_kinds_are_the_files():
    assert set(kinds()) == {
        "balanced_bagging", "gradient_boosting", "isolation_forest", "lightgbm", "logistic_regression", "onnx", "random_forest",
        "xgboost",
    }  # fmt: skip


def test_a_model_is_declared_by_defaults_named_after_its_kind_and_immutable(model):
    assert (model.name, model.weight) == (type(model).__module__.rpartition(".")[2], None)
    assert msgspec.json.decode(msgspec.json.encode(model), type=type(model)) == model
    with pytest.raises(AttributeError):
        model.weight = 2.0


def test_a_weight_of_nothing_is_refused(model):
    with pytest.raises(DeclarationError, match=model.name):
        type(model)(weight=0.0)


def test_what_is_forbidden_moves_nothing(model, declare):
    if model.name in READY:
        return
    x, y = make_rows(600)
    member = declare(model.name, forbid=["count_1h"]).fit(x, y, FEATURES, seed=1)
    other = x.copy()
    other[:, FEATURES.index("count_1h")] = 1000.0
    assert np.array_equal(raw(member, x), raw(member, other))
    assert not member.contributions(x)[:, FEATURES.index("count_1h")].any()


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
@pytest.mark.parametrize("direction", [1, -1])
def test_a_monotone_output_never_moves_the_other_way(declare, name, direction):
    x, y = make_rows(2000)
    column = FEATURES.index("count_1h")
    member = declare(name, monotone={"count_1h": direction}).fit(x, y, FEATURES, seed=1)
    for row in x[:40]:
        ladder = np.tile(row, (60, 1))
        ladder[:, column] = np.linspace(-4, 4, 60)
        assert (direction * np.diff(raw(member, ladder)) >= 0).all()


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_a_direction_is_up_or_down(declare, name):
    with pytest.raises(DeclarationError, match=r"monotone\['amount'\] = 2; use"):
        declare(name, monotone={"amount": 2})


@pytest.mark.parametrize("option", [{"monotone": {"amuont": 1}}, {"forbid": ["amuont"]}])
def test_a_detector_refuses_constraints_on_what_is_no_input(declare, option):
    with pytest.raises(DeclarationError, match=r"'amuont', which is no input of models.*amount"):
        Detector("scored", event=Scored, id="id", time="at", inputs=FEATURES, models=[declare("xgboost", **option)])


def test_what_a_tree_ensemble_cannot_be_is_refused():
    for name in sorted(kinds()):
        if "trees" in kinds()[name].__struct_fields__:
            with pytest.raises(DeclarationError, match=f"{name}.*0 trees"):
                kinds()[name](trees=0)


def test_it_learns_what_there_is_to_learn(model, member):
    x, y = make_rows(2000, seed=2)
    if model.name in UNSUPERVISED:
        y = (np.abs(np.nan_to_num(x[:, 1])) + np.abs(np.nan_to_num(x[:, 2])) > 3).astype(float)
    found = raw(member, x)
    assert found[y == 1].mean() > found[y == 0].mean() + 0.5 * found.std()


def test_missing_infinite_and_huge_values_have_finite_outputs(member):
    x = np.array([[np.nan] * 5, [np.inf] * 5, [-np.inf] * 5, [1e300] * 5, [-1e300] * 5])
    assert np.isfinite(raw(member, x)).all()
    assert np.isfinite(member.contributions(x)).all()


def test_contributions_add_up_to_the_output_minus_the_base(member):
    x, _ = make_rows(500, seed=3)
    found = member.contributions(x)
    assert found.shape == x.shape
    assert np.allclose(found.sum(axis=1) + member.base, raw(member, x), atol=1e-5)


class Scored(msgspec.Struct):
    """An event whose fields are what the models read."""

    id: str
    at: datetime
    amount: float | None = None
    count_1h: float | None = None
    ratio: float | None = None
    always_missing: float | None = None
    constant: float | None = None


def _departures(models):
    """What base and contributions of decisions come to, less the log-odds of the score."""
    rows, outcomes = make_rows(1000)
    later, known = make_rows(600, seed=1)
    ensemble = fit_ensemble(models, rows, outcomes, later, known, FEATURES, seed=1)
    detector = Detector(
        "scored", event=Scored, id="id", time="at", inputs=FEATURES, models=models, policy=Policy(review_at=1e-12)
    )
    found = []
    with Engine(detector, models=ensemble) as engine:
        for k, row in enumerate(make_rows(60, seed=2)[0].tolist()):
            values = {name: value for name, value in zip(FEATURES, row, strict=True) if not math.isnan(value)}
            decision = engine.decide({"id": f"t{k}", "at": datetime(2026, 1, 5, tzinfo=UTC), **values})
            why, p = decision.explanation, decision.fraud_probability
            assert why.contributions
            moved = sum(each.contribution for each in why.contributions)
            found.append(why.contribution_base + moved - math.log(p / (1 - p)))
    return np.abs(found)


ROUNDED = 0.00005 * len(FEATURES) + 1e-5
"""Contributions have four decimals, and are kept in float32."""


def test_a_decisions_base_and_contributions_add_up_to_its_log_odds(model):
    assert _departures([model]).max() < ROUNDED


def test_those_of_an_ensemble_of_all_kinds_do_too(declare):
    assert _departures([declare(name) for name in sorted(kinds())]).max() < ROUNDED


def test_a_feature_that_tells_nothing_contributes_nothing(member):
    x, _ = make_rows(500, seed=3)
    assert not member.contributions(x)[:, 3:].any()


def test_a_row_gives_the_same_alone_and_among_others(member):
    x, _ = make_rows(101, seed=4)
    assert [raw(member, row[None])[0] for row in x] == raw(member, x).tolist()
    assert np.array_equal(np.vstack([member.contributions(row[None]) for row in x]), member.contributions(x))


def test_a_member_comes_back_from_its_files_bit_for_bit(member, tmp_path):
    described = msgspec.json.decode(msgspec.json.encode(member.export(tmp_path)))
    loaded = forms()[member.form].load(tmp_path, described)
    x, _ = make_rows(300, seed=5)
    assert np.array_equal(raw(loaded, x), raw(member, x))
    assert np.array_equal(loaded.contributions(x), member.contributions(x))
    assert loaded.base == member.base


def test_its_files_are_of_open_formats(member, tmp_path):
    member.export(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".npy", ".txt", ".onnx"}
    assert all(np.load(path, allow_pickle=False).dtype.hasobject is False for path in tmp_path.glob("*.npy"))


def test_the_same_training_writes_the_same_bytes(model, tmp_path):
    digests = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        described = model.fit(*make_rows(300), FEATURES, seed=9).export(folder)
        files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
        digests.append((described, files))
    assert digests[0] == digests[1]


def test_weights_of_rows_count_like_repeated_rows(model):
    x, y = make_rows(300)
    twice = np.where(y > 0, 3.0, 1.0)
    weighted = model.fit(x, y, FEATURES, weights=twice, seed=1)
    equal = model.fit(x, y, FEATURES, weights=np.ones(len(y)), seed=1)
    plain = model.fit(x, y, FEATURES, seed=1)
    assert np.allclose(raw(equal, x), raw(plain, x))
    assert np.isfinite(raw(weighted, x)).all()


# ---------------------------------------------------------------- beside the library that trained it


def library_scores(model, x, y, probe):
    """What the library itself says of rows with missing values, on the scale of the member's raw output."""
    member = model.fit(x, y, FEATURES, seed=3)
    match model.name:
        case "xgboost":
            import xgboost

            booster = xgboost.Booster(model_file=bytearray(member.attachments["xgboost.json"]))
            expected = booster.inplace_predict(probe, predict_type="margin")
        case "lightgbm":
            import lightgbm

            booster = lightgbm.Booster(model_str=member.attachments["lightgbm.txt"].decode())
            expected = booster.predict(probe, raw_score=True)
        case "isolation_forest":
            expected = np.log2(-model.train(x, seed=3).score_samples(probe))
        case "gradient_boosting":
            lowest = np.where(np.isnan(probe), -1e30, probe)  # as `below_all`: under everything training saw
            expected = model.train(x, y, seed=3).decision_function(bounded(lowest))
        case "random_forest" | "balanced_bagging":
            # several threads would add trees in any order
            expected = model.train(x, y, seed=3).set_params(n_jobs=1).predict_proba(probe)[:, 1]
        case "logistic_regression":
            from sklearn.linear_model import LogisticRegression

            design = member.preprocessing.design
            expected = LogisticRegression(C=model.C, solver="newton-cholesky", tol=1e-8).fit(design(x), y)
            expected = expected.decision_function(design(probe))
        case "onnx":
            filled = np.where(np.isnan(probe), member.usual, probe)
            expected = filled @ np.array([0.001, 1.0, 1.0, 0.0, 0.0]) - 1
    return member, expected


SAME_ARITHMETIC = {"xgboost", "lightgbm", "gradient_boosting", "random_forest", "balanced_bagging"}
"""Kinds whose libraries add leaves in the order and precision that the kernels do."""


@pytest.mark.parametrize("missing", [True, False])
def test_it_says_what_the_library_says(model, missing):
    (x, y), (probe, _) = make_rows(1200, seed=6), make_rows(800, seed=7)
    if not missing:
        x = np.where(np.isnan(x), 0.5, x)
    member, expected = library_scores(model, x, y, probe)
    found = raw(member, probe)
    if model.name in SAME_ARITHMETIC:
        assert np.array_equal(found, expected.astype(np.float64))
    assert np.abs(found - expected).max() < 1e-6 * max(1.0, np.abs(expected).max())


def test_contributions_equal_those_of_lightgbm(declare):
    """XGBoost's are compared in `test_shapley`; scikit-learn has none, and the definition stands in there."""
    import lightgbm

    x, y = make_rows(1500, seed=8)
    member = declare("lightgbm", trees=60).fit(x, y, FEATURES, seed=1)
    booster = lightgbm.Booster(model_str=member.attachments["lightgbm.txt"].decode())
    expected = booster.predict(x[:300], pred_contrib=True)
    assert np.abs(member.contributions(x[:300]) - expected[:, :-1]).max() < 1e-5
    assert abs(member.base - expected[0, -1]) < 1e-5


def test_serving_imports_no_library_that_trains(declare, tmp_path):
    """Every kind but ONNX, whose runtime is what serves it."""
    x, y = make_rows(400)
    models = [declare(name) for name in sorted(set(kinds()) - READY)]
    saved = save(fit_ensemble(models, x, y, x, y, FEATURES), tmp_path, About("d", "2026-01-01T00:00:00Z", "none"))
    serve = (
        "import sys, numpy as np, penstock.models as m\n"
        f"e = m.load_bundle({str(tmp_path / 'd' / saved.version)!r}); x = np.array({x[:3].tolist()!r}.copy())\n"
        "print(e.score(x).ensemble.tolist(), file=sys.stderr); e.contributions(x)\n"
        "print([n for n in ('sklearn', 'xgboost', 'lightgbm', 'imblearn', 'onnxruntime') if n in sys.modules])"
    ).replace("nan", "float('nan')")
    done = subprocess.run([sys.executable, "-c", serve], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
    assert json.loads(done.stderr) == saved.score(x[:3]).ensemble.tolist()


# ---------------------------------------------------------------- few frauds, and what is done about them


def treatable():
    return sorted(name for name, kind in kinds().items() if "imbalance" in kind.__struct_fields__)


def test_every_kind_that_learns_from_outcomes_can_be_told_what_to_do_about_few_frauds():
    assert treatable() == sorted(set(kinds()) - UNSUPERVISED - READY)


@pytest.mark.parametrize("imbalance", ["weights", "smote", "smoteenn", "under"])
@pytest.mark.parametrize("name", treatable())
def test_every_treatment_trains_and_raises_what_the_model_says_of_frauds(declare, name, imbalance):
    x, y = make_rows(600, seed=10)
    y[np.flatnonzero(y)[40:]] = 0
    plain = declare(name, trees=10) if "trees" in kinds()[name].__struct_fields__ else declare(name)
    treated = msgspec.structs.replace(plain, imbalance=imbalance)
    member, untreated = treated.fit(x, y, FEATURES, categorical=[4]), plain.fit(x, y, FEATURES)
    assert np.isfinite(raw(member, x)).all()
    if name != "balanced_bagging":  # balanced before and after
        assert raw(member, x).mean() > raw(untreated, x).mean()


@pytest.mark.parametrize("imbalance", ["smote", "smoteenn", "under"])
@pytest.mark.parametrize("name", treatable())
def test_too_few_frauds_for_a_treatment_are_no_error(declare, name, imbalance):
    x, y = make_rows(30, seed=11)
    for frauds in (1, 2):
        y[:] = 0
        y[:frauds] = 1
        notes = []
        member = declare(name, imbalance=imbalance).fit(x, y, FEATURES, note=notes.append)
        assert np.isfinite(raw(member, x)).all()
        assert notes or (imbalance == "under" and name != "balanced_bagging")


# ---------------------------------------------------------------- what can be wrong with rows


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_handful_of_rows_is_enough_to_train(model, n):
    x, _ = make_rows(n)
    y = np.zeros(n)
    y[-1] = 1
    member = model.fit(x, y, FEATURES)
    assert np.isfinite(raw(member, x)).all()


@pytest.mark.parametrize("y", [0.0, 1.0])
def test_one_class_only_is_an_error_that_says_so(model, y):
    x, _ = make_rows(50)
    with pytest.raises(DataError, match=r"50 training rows hold \d+ frauds: a model needs both classes"):
        model.fit(x, np.full(50, y), FEATURES)


@pytest.mark.parametrize(
    ("y", "names", "message"),
    [(np.zeros(3), FEATURES, "one per row"), (np.full(50, 0.5), FEATURES, "must be 0"), (np.zeros(50), ["a"], "1 features")],
)
def test_rows_that_do_not_fit_are_refused(model, y, names, message):
    x, _ = make_rows(50)
    with pytest.raises(DataError, match=message):
        model.fit(x, y, names)
