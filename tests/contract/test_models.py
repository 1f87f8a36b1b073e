"""What every kind of model promises; the kinds are found by their files."""

import hashlib

import msgspec
import numpy as np
import pytest

from penstock.errors import DataError, DeclarationError
from penstock.models.bundle import FORMS
from penstock.models.kinds import kinds

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


@pytest.fixture(params=sorted(kinds()), scope="module")
def model(request):
    return kinds()[request.param]()


@pytest.fixture(scope="module")
def member(model):
    return model.fit(*make_rows(1000), FEATURES, seed=1)


def test_the_kinds_are_the_files():
    assert {"logistic_regression", "xgboost"} <= set(kinds())


def test_a_model_is_declared_by_defaults_named_after_its_kind_and_immutable(model):
    assert (model.name, model.weight) == (type(model).__module__.rpartition(".")[2], 1.0)
    assert msgspec.json.decode(msgspec.json.encode(model), type=type(model)) == model
    with pytest.raises(AttributeError):
        model.weight = 2.0


def test_a_weight_of_nothing_is_refused(model):
    with pytest.raises(DeclarationError, match=model.name):
        type(model)(weight=0.0)


UNSUPERVISED = {"isolation_forest"}
"""Kinds that learn what is usual, not what is fraud."""


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


def test_a_feature_that_tells_nothing_contributes_nothing(member):
    x, _ = make_rows(500, seed=3)
    assert not member.contributions(x)[:, 3:].any()


def test_a_row_gives_the_same_alone_and_among_others(member):
    x, _ = make_rows(101, seed=4)
    assert [raw(member, row[None])[0] for row in x] == raw(member, x).tolist()
    assert np.array_equal(np.vstack([member.contributions(row[None]) for row in x]), member.contributions(x))


def test_a_member_comes_back_from_its_files_bit_for_bit(member, tmp_path):
    described = msgspec.json.decode(msgspec.json.encode(member.export(tmp_path)))
    loaded = FORMS[member.form].load(tmp_path, described)
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
