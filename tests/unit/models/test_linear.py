"""The closed form of logistic regression against the library that fitted it."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression as Reference

from penstock.models import LogisticRegression

NAMES = list("abcdef")


def scores(member, x):
    out = np.empty(len(x))
    member.fill(x, out)
    return out


def test_log_odds_equal_those_of_scikit_learn_on_the_fitted_design(rows):
    x, y = rows(3000)
    member = LogisticRegression(C=0.3, class_weight="balanced").fit(x, y, NAMES)
    design = member.preprocessing.design(x)
    reference = Reference(C=0.3, class_weight="balanced", max_iter=1000, tol=1e-10).fit(design, y)
    assert np.allclose(scores(member, x), reference.decision_function(design), atol=1e-4)
    assert np.allclose(scores(member, x), design @ member.coefficients + member.base, atol=1e-12)


def test_contributions_add_up_to_the_output_and_average_to_nothing(rows):
    x, y = rows(3000)
    member = LogisticRegression().fit(x, y, NAMES)
    found = member.contributions(x)
    assert np.allclose(found.sum(axis=1) + member.base, scores(member, x), atol=1e-12)
    assert np.allclose(found.mean(axis=0), 0, atol=1e-10)


def test_heavy_tails_are_taken_as_logarithms_where_that_goes_better_with_the_outcome(rows):
    x, y = rows(3000)
    assert LogisticRegression().fit(x, y, NAMES).preprocessing.logarithm[0] == 1
    assert not LogisticRegression(transform="standard").fit(x, y, NAMES).preprocessing.logarithm.any()


def test_a_missing_value_weighs_what_it_told_in_training(rows):
    x, y = rows(3000, missing=0.0)
    x[(y == 1) & (np.arange(len(y)) % 2 == 0), 4] = np.nan
    member = LogisticRegression().fit(x, y, NAMES)
    suspicious = np.array([[10.0, 1, 0, 12, np.nan, 7]])
    assert member.contributions(suspicious)[0, 4] > 2


def test_a_value_that_was_never_missing_in_training_counts_as_the_median_when_it_is(rows):
    x, y = rows(3000, missing=0.0)
    member = LogisticRegression().fit(x, y, NAMES)
    usual = np.median(x, axis=0)[None]
    assert np.allclose(scores(member, np.full_like(usual, np.nan)), scores(member, usual))


def test_values_beyond_the_training_range_count_as_its_end(rows):
    x, y = rows(3000)
    member = LogisticRegression().fit(x, y, NAMES)
    far, end = np.nanmax(x, axis=0)[None] * 1e6, np.nanmax(x, axis=0)[None]
    assert scores(member, far) == scores(member, end)
    assert scores(LogisticRegression(clip=False).fit(x, y, NAMES), far) != scores(member, end)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e308])
def test_no_value_makes_the_output_infinite(rows, value):
    x, y = rows(500)
    member = LogisticRegression(clip=False, transform="standard").fit(x, y, NAMES)
    assert np.isfinite(scores(member, np.full((1, 6), value))).all()
