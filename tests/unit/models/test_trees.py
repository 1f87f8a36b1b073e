"""Tree scores: equal to XGBoost's to the last bit, and to a walk through the nodes for every other arithmetic."""

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.models.forests import random_forest, random_rows, scores, walk

from penstock.errors import BundleError
from penstock.models import XGBoost
from penstock.models.forest import NODE, Forest
from penstock.models.trees import TreeMember

ARITHMETICS = [
    {"compare32": True, "sum32": True},
    {"inclusive": True},
    {"inclusive": True, "compare32": True, "average": True},
]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), arithmetic=st.sampled_from(ARITHMETICS), depth=st.sampled_from([0, 1, 3, 5, 9]))
def test_any_forest_scores_as_a_walk_through_its_nodes(seed, arithmetic, depth):
    rng = np.random.default_rng(seed)
    forest = random_forest(rng, trees=int(rng.integers(1, 20)), depth=depth, **arithmetic)
    x = random_rows(rng, 11)
    assert scores(TreeMember(forest), x).tolist() == [walk(forest, row) for row in x]


@pytest.mark.parametrize(
    ("depth", "trees"),
    [
        (1, 300),
        (2, 50),
        (3, 1),
        (4, 40),
        (5, 20),
        pytest.param(6, 200, marks=pytest.mark.slow),
        (6, 40),
        (7, 30),
        (8, 25),
        (9, 15),
        (10, 10),
    ],
)
def test_margins_equal_those_of_xgboost_bit_for_bit(rows, depth, trees):
    x, y = rows(3000, seed=depth, missing=0.1)
    names = [f"f{i}" for i in range(x.shape[1])]
    member = XGBoost(trees=trees, depth=depth, min_child_weight=0.01, learning_rate=0.3).fit(x, y, names, seed=1)
    probe = at_thresholds(member.forest, rows(10_000, seed=99, missing=0.1)[0])
    booster = xgboost.Booster(model_file=bytearray(member.attachments["xgboost.json"]))
    expected = booster.inplace_predict(probe, predict_type="margin")
    assert np.array_equal(scores(member, probe).astype(np.float32), expected)
    assert np.array_equal(scores(member, probe[:7]), scores(member, probe)[:7])


def at_thresholds(forest, x):
    """The rows, a third of them with one value moved to where a split compares: exactly, and one float64 step off."""
    rng = np.random.default_rng(0)
    splits = forest.nodes[forest.nodes["left"] >= 0]
    for row in rng.choice(len(x), len(x) // 3, replace=False):
        split = splits[rng.integers(len(splits))]
        x[row, split["feature"]] = np.nextafter(split["threshold"], rng.choice([-np.inf, split["threshold"], np.inf]))
    return x


@pytest.mark.parametrize(
    "options", [{"scale_pos_weight": "balanced"}, {"gamma": 1.0, "tree_method": "exact"}, {"subsample": 1.0, "colsample": 1.0}]
)
def test_margins_equal_those_of_xgboost_whatever_it_is_told(rows, options):
    x, y = rows(1500, seed=5)
    member = XGBoost(trees=20, **options).fit(x, y, list("abcdef"), weights=np.linspace(0.5, 2, len(y)), seed=3)
    booster = xgboost.Booster(model_file=bytearray(member.attachments["xgboost.json"]))
    assert np.array_equal(scores(member, x).astype(np.float32), booster.inplace_predict(x, predict_type="margin"))


def test_values_beyond_float32_go_where_the_largest_values_go():
    forest = random_forest(np.random.default_rng(1), width=1, trees=5, compare32=True, sum32=True)
    beyond, largest = np.array([[1e300], [-1e300], [np.inf]]), np.array([[3e38], [-3e38], [3e38]])
    assert scores(TreeMember(forest), beyond).tolist() == scores(TreeMember(forest), largest).tolist()


def with_nodes(**changes):
    nodes = np.array([(1, 2, 0, 0, 0.0, 0.0, 2.0), (-1, -1, 0, 0, 0, 1.0, 1.0), (-1, -1, 0, 0, 0, 2.0, 1.0)], NODE)
    for name, value in changes.items():
        nodes[name][0] = value
    return Forest(nodes, np.array([0]), base=0.0, width=1)


@pytest.mark.parametrize("changes", [{"left": 3}, {"right": 3}, {"left": 0}, {"feature": 1}, {"feature": -1}, {"right": -1}])
def test_nodes_that_point_outside_are_refused_before_a_kernel_reads_them(changes):
    with pytest.raises(BundleError, match="tree nodes"):
        with_nodes(**changes)


def test_nodes_that_share_a_child_are_refused():
    with pytest.raises(BundleError, match="share children"):
        with_nodes(right=1)
