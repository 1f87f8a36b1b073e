"""What is LightGBM's own: the library that may be missing, names it refuses, defaults that do not collapse."""

import builtins
import sys

import lightgbm
import numpy as np
import pytest
from tests.unit.models.conftest import FEATURES

from penstock.errors import ConfigurationError, DeclarationError
from penstock.models import LightGBM, metrics


@pytest.mark.parametrize(
    ("cause", "remedy"),
    [
        (OSError("libgomp.so.1: cannot open shared object file"), "libgomp.so.1.*apt-get install libgomp1"),
        (ImportError("No module named 'lightgbm'"), r"penstock\[train\]"),
    ],
)
def test_a_library_that_cannot_be_loaded_is_an_instruction(rows, monkeypatch, cause, remedy) -> None:
    genuine = builtins.__import__

    def failing(name, *args, **options):
        if name == "lightgbm":
            raise cause
        return genuine(name, *args, **options)

    x, y = rows(50)
    monkeypatch.delitem(sys.modules, "lightgbm")
    monkeypatch.setattr(builtins, "__import__", failing)
    with pytest.raises(ConfigurationError, match=remedy):
        LightGBM().fit(x, y, FEATURES)


def test_feature_names_that_it_would_refuse_are_no_error(rows) -> None:
    x, y = rows(300)
    member = LightGBM(trees=5).fit(x, y, ["a:b", "c,d", '"', "[", "{", "x"])
    assert len(member.forest.roots) == 5


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(DeclarationError, match="1 leaves"):
        LightGBM(leaves=1)
    with pytest.raises(DeclarationError, match="scale_pos_weight 0"):
        LightGBM(scale_pos_weight=0)


def test_one_fraud_in_two_hundred_does_not_make_it_collapse() -> None:
    """As LightGBM's own defaults do: leaves without a penalty run off to certainty."""
    rng = np.random.default_rng(0)

    def events(n):
        x = rng.normal(size=(n, 6))
        p = 1 / (1 + np.exp(-(2.5 * x[:, 0] + x[:, 1] * x[:, 2] - 9)))
        return x, (rng.random(n) < p).astype(float)

    (x, y), (later, truth) = events(30_000), events(30_000)
    assert 0.003 < y.mean() < 0.008
    member = LightGBM(trees=100, learning_rate=0.1).fit(x, y, FEATURES)
    raw = np.empty(len(later))
    member.fill(later, raw)
    theirs = lightgbm.train({"objective": "binary", "verbosity": -1, "num_threads": 1}, lightgbm.Dataset(x, y), 100)
    ours, defaults = (metrics.average_precision(score, truth) for score in (raw, theirs.predict(later)))
    assert ours > defaults + 0.02
