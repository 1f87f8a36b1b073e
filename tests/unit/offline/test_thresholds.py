"""Thresholds: the cheapest pair of all, as many reviews as people can do, a rate that holds; and changed without training."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import ConfigurationError
from penstock.models import About, LogisticRegression, fit_ensemble, load_bundle, save
from penstock.offline.thresholds import ByCapacity, ByCost, ByRate, ScoredRows, choose, curve, outcome, rates, rewrite


def scored(n=500, seed=0, days=10.0):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.1).astype(float)
    score = 1 / (1 + np.exp(-(rng.normal(size=n) + 2.5 * y - 2)))
    return ScoredRows(np.clip(np.round(score, 2), 0.01, 0.99), y, np.round(np.exp(rng.normal(4, 1, n)), 2), days)


def cheapest(rows, costs):
    """Every pair of thresholds, one after the other."""
    places = [*np.unique(rows.score), 2.0]
    pairs = [(low, high) for low in places for high in places if low <= high]
    return min(outcome(rows, {"review_at": low, "block_at": high}, costs)["cost"] for low, high in pairs)


@settings(deadline=None)
@given(
    seed=st.integers(0, 1000),
    review=st.floats(0, 40),
    annoyance=st.floats(0, 200),
    found=st.floats(0.3, 1),
    loss=st.floats(0, 2),
)
def test_no_other_pair_of_thresholds_is_cheaper(seed, review, annoyance, found, loss):
    rows, costs = scored(40, seed), ByCost(review, annoyance, loss, found)
    chosen = choose(costs, rows)
    assert 0 < chosen["review_at"] <= chosen["block_at"] <= 1
    assert outcome(rows, chosen, costs)["cost"] == pytest.approx(cheapest(rows, costs), abs=1e-6)


def test_dear_reviews_mean_fewer_of_them():
    rows = scored()
    cheap, dear = (outcome(rows, choose(ByCost(review=cost), rows)) for cost in (1.0, 30.0))
    assert dear["reviews_per_day"] < cheap["reviews_per_day"]


@pytest.mark.parametrize("capacity", [0.5, 3, 11])
def test_people_get_as_many_reviews_as_they_can_do_and_no_more(capacity):
    rows = ScoredRows(
        scored().score + np.linspace(0, 1e-3, 500), *(getattr(scored(), name) for name in ("y", "amount", "days"))
    )
    found = outcome(rows, choose(ByCapacity(capacity), rows))
    assert capacity - 0.2 < found["reviews_per_day"] <= capacity


def test_people_who_can_review_everything_are_shown_everything_that_is_not_blocked():
    rows = scored()
    found = outcome(rows, choose(ByCapacity(1e6), rows))
    assert found["reviews_per_day"] + found["blocked_per_day"] == 50


@pytest.mark.parametrize("rate", [0.01, 0.05])
def test_a_rate_of_false_positives_holds(rate):
    rows = scored(5000)
    assert outcome(rows, choose(ByRate(review_fpr=rate), rows))["false_positive_rate"] <= rate


def test_an_outcome_counts_what_is_lost_reviewed_and_annoyed():
    score, y, amount = np.array([0.1, 0.6, 0.7, 0.9]), np.array([1.0, 1.0, 0.0, 0.0]), np.array([50.0, 200.0, 9.0, 9.0])
    thresholds, costs = {"review_at": 0.5, "block_at": 0.8}, ByCost(review=5, annoyance=25, found=0.5)
    found = outcome(ScoredRows(score, y, amount, 2.0), thresholds, costs)
    assert found["cost"] == 50 + 0.5 * 200 + 2 * 5 + 25
    assert found["saved"] == 250 - found["cost"]
    assert found["value_detection_rate"] == 0.8
    assert found["reviews_per_day"] == 1.0
    assert (found["recall"], found["false_positive_rate"], found["precision"]) == (None, None, None)  # of so few
    many = ScoredRows(*(np.tile(each, 20) for each in (score, y, amount)), 2.0)
    found = outcome(many, thresholds, costs)
    assert (found["recall"], found["false_positive_rate"], found["precision"]) == (0.5, 1.0, 20 / 60)
    assert {name: (rate.part, rate.of) for name, rate in rates(many, thresholds).items()} == {
        "recall": (20, 40),
        "false_positive_rate": (40, 40),
        "precision": (20, 60),
    }


def test_frauds_count_one_each_where_no_amount_is_known():
    rows = ScoredRows(np.array([0.1, 0.9]), np.array([1.0, 1.0]), np.full(2, np.nan), 1.0)
    assert outcome(rows, {"review_at": 0.5, "block_at": 0.5})["value_detection_rate"] == 0.5


def test_the_curve_rises_and_holds_the_choice():
    rows = scored()
    chosen = choose(ByCost(), rows)
    points = curve(rows, chosen, ByCost())
    assert chosen["review_at"] in [point["review_at"] for point in points]
    recalls = [point["recall"] for point in points]
    assert recalls == sorted(recalls, reverse=True)


@pytest.mark.parametrize(
    "make", [lambda: ByRate(review_fpr=0), lambda: ByCapacity(0), lambda: ByCost(review=-1), lambda: ByCost(found=1.5)]
)
def test_wishes_that_mean_nothing_are_refused(make):
    with pytest.raises(ConfigurationError, match=r"share|number"):
        make()


@pytest.fixture
def bundle(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2))
    y = (x[:, 0] > 1).astype(float)
    ensemble = fit_ensemble([LogisticRegression()], x[:200], y[:200], x[200:], y[200:], ["a", "b"])
    about = About("small", "2026-01-01T00:00:00Z", "f", training={"data": "some.csv"}, metrics={"test": {"roc_auc": 0.9}})
    return tmp_path, save(ensemble, tmp_path, about).version, x


def test_thresholds_change_without_training_as_a_version_of_their_own(bundle):
    folder, version, x = bundle
    changed = rewrite(folder, "small", version, {"review_at": 0.2, "block_at": 0.7}, clock=lambda: 0)
    old, new = (load_bundle(folder / "small" / each) for each in (version, changed))
    assert new.thresholds == {"review_at": 0.2, "block_at": 0.7}
    assert changed != version
    assert new.score(x).ensemble.tolist() == old.score(x).ensemble.tolist()
    assert new.manifest["training"] == {"data": "some.csv", "thresholds_of": version}
    assert new.manifest["metrics"] == old.manifest["metrics"]


def test_thresholds_out_of_order_are_refused(bundle):
    folder, version, _ = bundle
    with pytest.raises(ConfigurationError, match="review_at not above block_at"):
        rewrite(folder, "small", version, {"review_at": 0.8, "block_at": 0.7})


def test_a_threshold_lies_above_0_even_where_a_score_is_0():
    rows = ScoredRows(np.array([0.0, 0.5]), np.array([1.0, 1.0]), np.ones(2), 1.0)
    assert choose(ByCost(review=0.0), rows)["review_at"] > 0
