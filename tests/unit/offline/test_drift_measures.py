"""Measures of drift against what their formulas say, written out row by row."""

import math

import numpy as np
import pytest

from penstock.models.reference import ReferenceColumn, cut, cut_texts
from penstock.offline.drift import measures
from penstock.offline.drift.estimate import PARTS, figures, sums_of
from penstock.offline.drift.sketch import HOUR_US, SCORE, DecisionColumns, Sketch

RNG = np.random.default_rng(5)
"""For what all tests share. Each test then draws from a beginning of its own, so that it draws the same when run alone."""
BINS = [RNG.multinomial(n, RNG.dirichlet(np.ones(8))) for n in (30, 200, 5000, 17)]
PAIRS = [(live, training) for live in BINS for training in BINS]


@pytest.fixture(autouse=True)
def from_the_beginning(monkeypatch):
    monkeypatch.setitem(globals(), "RNG", np.random.default_rng(6))


def shares(counts, used, more):
    total = sum(counts[k] + more for k in used)
    return [(counts[k] + more) / total for k in used]


@pytest.mark.parametrize(("live", "training"), PAIRS)
def test_the_index_is_the_sum_over_bins_that_hold_anything(live, training):
    used = [k for k in range(8) if live[k] or training[k]]
    p, q = shares(live, used, 0.5), shares(training, used, 0.5)
    naive = sum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert float(measures.psi(live, training)) == pytest.approx(naive)


@pytest.mark.parametrize(("live", "training"), PAIRS)
def test_kolmogorov_smirnov_is_the_largest_distance_of_the_cumulative_shares(live, training):
    naive = max(
        abs(live[1 : k + 1].sum() / live[1:].sum() - training[1 : k + 1].sum() / training[1:].sum()) for k in range(1, 8)
    )
    assert float(measures.ks(live, training)) == pytest.approx(naive)


@pytest.mark.parametrize(("live", "training"), PAIRS)
def test_jensen_shannon_is_the_mean_divergence_from_the_mixture(live, training):
    p, q = live / live.sum(), training / training.sum()
    naive = 0.0
    for a, b in ((p, q), (q, p)):
        naive += sum(x * math.log2(2 * x / (x + y)) for x, y in zip(a, b, strict=True) if x) / 2
    assert float(measures.js(live, training)) == pytest.approx(naive)
    assert 0 <= naive <= 1


def test_nothing_against_anything_is_no_distance():
    nothing, some = np.zeros(4, int), np.array([0, 1, 2, 3])
    assert float(measures.ks(nothing, some)) == 0
    assert float(measures.psi(nothing, nothing)) == 0


def test_measures_of_many_columns_are_those_of_each():
    live, training = np.array(BINS), np.array(BINS[::-1])
    for measure in (measures.psi, measures.ks, measures.js):
        assert measure(live, training).tolist() == pytest.approx(
            [float(measure(a, b)) for a, b in zip(live, training, strict=True)]
        )


def test_chance_alone_exceeds_its_limit_as_rarely_as_it_says():
    """Two samples of one distribution, twenty thousand times."""
    p = RNG.dirichlet(np.full(10, 5.0))
    live, training = RNG.multinomial(800, p, 20_000), RNG.multinomial(4000, p, 20_000)
    limit = measures.by_chance(np.array(800.0), np.array(4000.0), np.array(10), 0.01)
    assert 0.007 < float((measures.psi(live, training) > limit).mean()) < 0.013


@pytest.mark.parametrize(("freedom", "alpha", "value"), [(1, 0.05, 3.841), (4, 0.001, 18.467), (11, 1e-6, 49.64)])
def test_values_of_chi_squared_are_those_of_the_tables(freedom, alpha, value):
    assert float(measures.chi_squared(np.array(float(freedom)), alpha)) == pytest.approx(value, rel=0.03)


# ---------------------------------------------------------------- bins


def naive_bin(column, value):
    if math.isnan(value):
        return 0
    return 1 + sum(value > edge for edge in column.edges)


def test_a_number_lies_in_the_bin_that_reaches_to_it():
    values = np.concatenate([RNG.lognormal(size=500), [np.nan, -1e300, 1e300, 0.0]])
    column = cut("amount", values)
    tried = np.concatenate([values, column.edges])
    assert column.place(tried).tolist() == [naive_bin(column, value) for value in tried]
    assert column.place(tried).max() < column.bins == len(column.labels())


def test_tenths_of_a_column_hold_a_tenth_of_it_each():
    column = cut("amount", RNG.lognormal(size=10_000))
    assert np.bincount(column.place(RNG.lognormal(size=10_000)), minlength=column.bins)[1:10].tolist() == pytest.approx(
        [1000] * 9, rel=0.15
    )


def test_few_values_have_a_bin_for_each_and_a_column_of_nothing_has_two():
    assert cut("flag", np.array([0.0, 1.0, 1.0])).edges == [0.0]
    nothing = cut("lost", np.full(5, np.nan))
    assert (nothing.edges, nothing.labels()) == ([], ["missing", "known"])
    assert nothing.place(np.array([np.nan, 3.0])).tolist() == [0, 1]


def test_texts_have_bins_of_their_own_rarer_ones_share_one_and_new_ones_another():
    common = [f"shop{k}" for k in range(30) for _ in range(3)]
    column = cut_texts("shop", [*common, "rare", None])
    placed = column.place_texts(["shop0", "rare", "unheard", None])
    assert [column.labels()[at] for at in placed] == ["shop0", "rarer ones", "never seen", "missing"]
    assert len(column.values) == 30


# ---------------------------------------------------------------- sketches


def sketch_of(time_us, amount, score, action):
    columns = [
        ReferenceColumn("amount", "number", edges=[1.0, 2.0]),
        ReferenceColumn(SCORE, "score", edges=[0.5]),
        ReferenceColumn("absent", "number"),
    ]
    sketch = Sketch(columns, review_at=0.5)
    sketch.add(DecisionColumns(time_us, {"amount": amount}, {}, {SCORE: score}, action))
    return sketch


def random_rows(n):
    time_us = RNG.integers(0, 50 * HOUR_US, n)
    amount = np.where(RNG.random(n) < 0.1, np.nan, RNG.lognormal(size=n))
    score = np.where(RNG.random(n) < 0.2, np.nan, RNG.random(n))
    return time_us, amount, score, RNG.integers(0, 4, n).astype(np.uint8)


def test_a_sketch_holds_what_counting_row_by_row_gives():
    rows = random_rows(3000)
    sketch = sketch_of(*rows)
    naive = np.zeros((50, 3, 4), int)
    for time_us, amount, score, _ in zip(*rows, strict=True):
        naive[time_us // HOUR_US, 0, naive_bin(sketch.columns[0], amount)] += 1
        if not math.isnan(score):
            naive[time_us // HOUR_US, 1, naive_bin(sketch.columns[1], score)] += 1
    np.testing.assert_array_equal(sketch.between(0, 50), naive)


def test_sketches_of_parts_merge_into_the_sketch_of_all():
    rows = random_rows(2000)
    whole, left, right = sketch_of(*rows), sketch_of(*(each[:700] for each in rows)), sketch_of(*(each[700:] for each in rows))
    left.merge(right)
    np.testing.assert_array_equal(left.between(0, 50), whole.between(0, 50))
    np.testing.assert_allclose(left.summed(0, 50), whole.summed(0, 50))


def test_sketches_of_other_columns_are_not_merged():
    other = Sketch([ReferenceColumn("another", "number")])
    with pytest.raises(ValueError, match="different references"):
        sketch_of(*random_rows(5)).merge(other)


def test_a_sketch_forgets_what_is_too_old():
    sketch = sketch_of(*random_rows(500))
    sketch.forget(20)
    assert sketch.span[0] >= 20
    assert sketch.between(0, 20).sum() == 0


# ---------------------------------------------------------------- estimates


def test_expected_precision_recall_and_area_are_those_of_the_expected_counts():
    """Each row as p of a fraud and 1 - p of a good one, pair by pair."""
    score = np.round(RNG.beta(0.5, 3, 300), 3)
    stopped = RNG.random(300) < 0.3
    found = figures(sums_of(score, stopped, np.zeros(300, int), 1, 0.4)[0])
    flagged = [p for p in score if p >= 0.4]
    assert found["rows"] == 300
    assert found["fraud_rate"] == pytest.approx(score.sum() / 300)
    assert found["precision"] == pytest.approx(sum(flagged) / len(flagged))
    assert found["recall"] == pytest.approx(sum(flagged) / score.sum())
    assert found["stopped_precision"] == pytest.approx(score[stopped].mean())
    assert found["stopped_recall"] == pytest.approx(score[stopped].sum() / score.sum())
    won = sum(p * (1 - q) * (1.0 if p > q else 0.5 if p == q else 0.0) for p in score for q in score)
    naive = won / (score.sum() * (1 - score).sum())
    assert found["roc_auc"] == pytest.approx(naive, abs=0.01)


def test_what_calibrated_scores_say_comes_true():
    """Frauds are drawn as the scores say; the expected figures are close to the real ones."""
    score = RNG.beta(0.3, 6, 200_000)
    fraud = RNG.random(200_000) < score
    found = figures(sums_of(score, None, np.zeros(len(score), int), 1, 0.3)[0])
    flagged = score >= 0.3
    assert found["precision"] == pytest.approx(fraud[flagged].mean(), abs=0.02)
    assert found["recall"] == pytest.approx(fraud[flagged].sum() / fraud.sum(), abs=0.02)


def test_nothing_is_said_of_no_rows():
    found = figures(np.zeros(PARTS))
    assert found["rows"] == 0
    assert {found[name] for name in ("fraud_rate", "precision", "recall", "roc_auc")} == {None}
