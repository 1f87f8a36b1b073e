"""A member that is an ONNX file of the user's own."""

import json
import sys

import numpy as np
import pytest
from onnx import TensorProto
from tests.onnx_files import logistic

from penstock.errors import BundleError, ConfigurationError, DataError
from penstock.models import About, Onnx, fit_ensemble, load_bundle, save
from penstock.models.onnx import OnnxMember

NAMES = ["amount", "count", "ratio"]
COEFFICIENTS = np.array([0.5, -1.0, 2.0])


def rows(n=200, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    return x, (rng.random(n) < 1 / (1 + np.exp(-x @ COEFFICIENTS))).astype(float)


def raw(member, x):
    out = np.empty(len(x))
    member.fill(x, out)
    return out


@pytest.fixture
def file(tmp_path):
    def write(**options):
        path = tmp_path / "bought.onnx"
        path.write_bytes(logistic(COEFFICIENTS, 0.25, **options))
        return str(path)

    return write


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("element", [TensorProto.FLOAT, TensorProto.DOUBLE])
def test_its_raw_output_is_the_log_odds_of_the_probability_of_fraud(file, columns, element) -> None:
    x, y = rows()
    member = Onnx(path=file(columns=columns, element=element)).fit(x, y, NAMES)
    assert np.allclose(raw(member, x), x @ COEFFICIENTS + 0.25, atol=2e-5 if element == TensorProto.FLOAT else 1e-9)


def test_missing_values_are_medians_unless_the_model_wants_them(file) -> None:
    x, y = rows()
    x[0] = np.nan
    path = file()
    member = Onnx(path=path).fit(x, y, NAMES)
    assert raw(member, x[:1])[0] == pytest.approx(np.nanmedian(x, axis=0) @ COEFFICIENTS + 0.25, abs=1e-5)
    with pytest.raises(DataError, match=r"gave nan for a row.*keep_missing=False"):
        raw(Onnx(path=path, keep_missing=True).fit(x, y, NAMES), x[:1])


def test_contributions_are_exact_where_features_act_alone_or_in_pairs() -> None:
    """A model that is none: its answer is a known function, so that the definition can be worked out."""
    usual, row = np.array([0.5, 1.0, -1.0]), np.array([2.0, -1.0, 0.25])

    def margin(x):
        return 0.3 * x[0] - 0.5 * x[1] + 0.4 * x[0] * x[1] + 0.2 * x[1] * x[2]

    member = stand_in(margin, usual)
    effects = [shapley(margin, usual, row, feature) for feature in range(3)]
    assert np.allclose(member.contributions(row[None])[0], effects)


def test_contributions_add_up_even_where_features_act_in_threes() -> None:
    usual, row = np.zeros(3), np.array([2.0, -1.0, 1.5])
    member = stand_in(lambda x: x[0] * x[1] * x[2], usual)
    found = member.contributions(row[None])[0]
    assert found.sum() == pytest.approx(-3.0)
    assert (found != 0).all()


def stand_in(margin, usual):
    class Session:
        def run(self, _outputs, given):
            return [np.array([[1 / (1 + np.exp(-margin(row)))]]) for row in given["x"]]

    member = OnnxMember(logistic(np.ones(3), element=TensorProto.DOUBLE), usual)
    member.session = Session()
    member.base = float(margin(usual))
    return member


def shapley(margin, usual, row, feature):
    """By the definition, over all subsets of the two others."""
    others = [other for other in range(3) if other != feature]
    total = 0.0
    for known, weight in (([], 1 / 3), (others[:1], 1 / 6), (others[1:], 1 / 6), (others, 1 / 3)):
        x = usual.copy()
        x[known] = row[known]
        without = margin(x)
        x[feature] = row[feature]
        total += weight * (margin(x) - without)
    return total


def test_the_bundle_holds_the_file_and_serves_without_the_original(file, tmp_path) -> None:
    x, y = rows()
    path = file()
    fitted = fit_ensemble([Onnx(path=path)], x, y, x, y, NAMES)
    saved = save(fitted, tmp_path / "models", About("mine", "2026-01-01T00:00:00Z", "none"))
    original = (tmp_path / "bought.onnx").read_bytes()
    (tmp_path / "bought.onnx").unlink()
    folder = tmp_path / "models" / "mine" / saved.version
    assert (folder / "members" / "onnx" / "model.onnx").read_bytes() == original
    again = load_bundle(folder)
    assert np.array_equal(again.score(x).ensemble, fitted.score(x).ensemble)
    declared = json.loads((folder / "manifest.json").read_text())["members"][0]["declared"]
    assert (declared["kind"], declared["name"], declared["path"]) == ("onnx", "onnx", "bought.onnx")
    assert str(tmp_path) not in repr(Onnx(path=path))
    (folder / "members" / "onnx" / "model.onnx").write_bytes(original + b" ")
    with pytest.raises(BundleError, match="checksum"):
        load_bundle(folder)


def test_a_file_that_is_not_there_or_does_not_fit_is_refused_with_the_remedy(file, tmp_path) -> None:
    x, y = rows()
    with pytest.raises(ConfigurationError, match=r"'onnx'.*missing\.onnx cannot be read"):
        Onnx(path=str(tmp_path / "missing.onnx")).fit(x, y, NAMES)
    with pytest.raises(DataError, match="one matrix of float or double with 2 columns"):
        Onnx(path=file()).fit(x[:, :2], y, NAMES[:2])
    (tmp_path / "bought.onnx").write_bytes(b"no model")
    with pytest.raises(DataError, match="cannot be loaded"):
        Onnx(path=str(tmp_path / "bought.onnx")).fit(x, y, NAMES)


def test_an_output_can_be_named(file) -> None:
    x, y = rows()
    path = file(columns=2, name="both")
    assert Onnx(path=path).fit(x, y, NAMES).output == "both"
    assert Onnx(path=path, output="both").fit(x, y, NAMES).output == "both"


def test_without_onnx_runtime_there_is_an_instruction(file, monkeypatch) -> None:
    x, y = rows()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'penstock\[onnx\]'"):
        Onnx(path=file()).fit(x, y, NAMES)
