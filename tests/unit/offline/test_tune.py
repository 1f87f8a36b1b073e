"""Tuning: seeded, within its budget, never below what was declared, and never touching what was declared on purpose."""

import msgspec
import numpy as np
import pytest

from penstock.models import LogisticRegression, RandomForest, XGBoost
from penstock.models.kinds import kinds
from penstock.offline.datasets import read
from penstock.offline.folds import held_out
from penstock.offline.rows import replayed
from penstock.offline.tune import SPACES, open_space, tune


@pytest.fixture
def folds(small, frame):
    rows = replayed(small, read(frame, small))
    return held_out(rows.take(np.arange(2000)), rows.take(np.arange(2000, 3000)), small.plan.inputs)


@pytest.mark.parametrize("kind", SPACES)
def test_every_space_belongs_to_a_kind_and_holds_values_it_takes(kind):
    model = kinds()[kind]
    assert set(SPACES[kind]) <= {field.name for field in msgspec.structs.fields(model)}
    for end in ("low", "high"):
        msgspec.structs.replace(model(), **{name: getattr(allowed, end) for name, allowed in SPACES[kind].items()})


def test_the_same_search_finds_the_same_model(folds):
    first, second = (tune(RandomForest(trees=10), folds, 4, seed=3) for _ in range(2))
    assert first == second
    assert len(first.trials) == 4


def test_a_search_never_ends_below_what_was_declared(folds):
    found = tune(LogisticRegression(), folds, 5, seed=0)
    reached = [trial["average_precision"] for trial in found.trials]
    assert found.trials[0]["C"] == LogisticRegression().C
    assert found.as_json()["best"]["average_precision"] == max(reached) >= reached[0]
    assert found.as_json()["best"]["C"] == found.model.C


def test_fields_declared_on_purpose_stay(folds):
    assert "trees" not in open_space(XGBoost(trees=40))
    found = tune(RandomForest(trees=10, depth=4), folds, 3, seed=0)
    assert (found.model.trees, found.model.depth) == (10, 4)


def test_without_a_budget_the_model_stays_as_declared(folds):
    assert tune(LogisticRegression(C=0.5), folds, 0, seed=0).model == LogisticRegression(C=0.5)
