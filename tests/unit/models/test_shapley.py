"""Contributions of trees: equal to the definition on small forests, to XGBoost's on real ones."""

import math
from itertools import combinations

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.models.forests import random_forest, random_rows, scores

from penstock.models import RandomForest, XGBoost
from penstock.models.forest import Paths
from penstock.models.shapley import LinkedPaths, PaddedPaths
from penstock.models.trees import TreeMember, _linked_paths, _padded_paths


def expected_value(forest, node_at, root, row, known):
    """The tree's output where only `known` features are: at other splits both ways count by training weight."""
    node = forest.nodes[root + node_at]
    if node["left"] < 0:
        return float(node["value"])
    left, right = (forest.nodes[root + node[side]]["cover"] for side in ("left", "right"))
    sides = [expected_value(forest, node[side], root, row, known) for side in ("left", "right")]
    if node["feature"] in known:
        value = row[node["feature"]]
        value = float(np.float32(value)) if forest.compare32 else value
        below = value <= node["threshold"] if forest.inclusive else value < node["threshold"]
        return sides[0] if (node["default_left"] if np.isnan(value) else below) else sides[1]
    return (left * sides[0] + right * sides[1]) / node["cover"]


def by_definition(forest, row):
    """Shapley values from all subsets of features."""
    k = forest.width
    phi = np.zeros(k)
    for i in range(k):
        for size in range(k):
            weight = math.factorial(size) * math.factorial(k - size - 1) / math.factorial(k)
            for known in combinations([j for j in range(k) if j != i], size):
                for root in forest.roots:
                    gain = expected_value(forest, 0, root, row, {*known, i}) - expected_value(forest, 0, root, row, set(known))
                    phi[i] += weight * gain
    return phi / (len(forest.roots) if forest.average else 1)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), depth=st.integers(0, 5), exclusive=st.booleans())
def test_contributions_equal_the_definition(seed, depth, exclusive):
    rng = np.random.default_rng(seed)
    arithmetic = {"compare32": True, "sum32": True} if exclusive else {"inclusive": True, "average": True}
    forest = random_forest(rng, width=4, trees=2, depth=depth, **arithmetic)
    x = random_rows(rng, 3, width=4)
    expected = np.array([by_definition(forest, row) for row in x])
    for layout in (_padded_paths, _linked_paths) if Paths.of(forest).depth else (_linked_paths,):
        member = TreeMember(forest)
        member.paths = layout(forest, Paths.of(forest))
        assert np.allclose(member.contributions(x), expected, rtol=0, atol=2e-6)
    assert np.allclose(member.base + expected.sum(axis=1), scores(member, x), atol=1e-6)


@pytest.mark.parametrize(
    ("depth", "options", "layout"),
    [
        (1, {"trees": 50}, PaddedPaths),
        (6, {"trees": 200}, PaddedPaths),
        (8, {"trees": 40, "min_child_weight": 0.01, "learning_rate": 0.3}, PaddedPaths),
        (8, {"trees": 40}, LinkedPaths),
        (8, {"trees": 40, "min_child_weight": 60.0, "scale_pos_weight": "balanced", "colsample": 1.0}, LinkedPaths),
        (10, {"trees": 20}, LinkedPaths),
    ],
)
def test_contributions_equal_those_of_xgboost(rows, depth, options, layout):
    x, y = rows(4000, seed=depth, missing=0.1)
    names = list("abcdef")
    member = XGBoost(depth=depth, **options).fit(x, y, names, seed=1)
    assert isinstance(member.paths, layout)
    booster = xgboost.Booster(model_file=bytearray(member.attachments["xgboost.json"]))
    expected = booster.predict(xgboost.DMatrix(x[:1000], feature_names=names), pred_contribs=True)
    found = member.contributions(x[:1000])
    assert np.abs(found - expected[:, :-1]).max() < 1e-5
    assert abs(member.base - expected[0, -1]) < 1e-5
    assert np.abs(found.sum(axis=1) + member.base - scores(member, x[:1000])).max() < 1e-5


@pytest.mark.parametrize("depth", [12, 30])
def test_contributions_of_deep_forests_add_up(rows, depth):
    """Products of thirty shares still fit into float32."""
    x, y = rows(3000, seed=depth, missing=0.1)
    member = RandomForest(trees=20, depth=depth, min_leaf=1, features=0.0).fit(x, y, list("abcdef"))
    assert Paths.of(member.forest).depth > 11
    assert np.abs(member.contributions(x).sum(axis=1) + member.base - scores(member, x)).max() < 1e-6


def test_a_row_is_explained_alike_alone_and_among_others(rows):
    x, y = rows(1000)
    member = XGBoost(trees=21, depth=5).fit(x, y, list("abcdef"))
    assert np.array_equal(member.contributions(x)[17:18], member.contributions(x[17:18]))


def test_an_edge_no_training_weight_took_leaves_finite_contributions():
    forest = random_forest(np.random.default_rng(4), trees=3, compare32=True, sum32=True)
    for side in ("left", "right"):
        forest.nodes["cover"][forest.nodes[side][0]] = 0.0
    member = TreeMember(forest)
    x = random_rows(np.random.default_rng(0), 20)
    found = member.contributions(x)
    assert np.isfinite(found).all()
    assert np.allclose(found.sum(axis=1) + member.base, scores(member, x), atol=1e-5)
