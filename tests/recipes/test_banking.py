"""The recipe for a bank's payments, followed: data, two models in one run of MLflow, rules that override, profiles in Redis."""

import json

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.repeats]  # of what two other recipes show of the commands


def test_the_recipe_for_banking_does_what_it_prints(follow):
    page = follow("recipes/banking", "redis")
    assert page.output_of("python -c").split() == ["bundle", "lr_model", "plots", "report.html", "xgb_model"]
    [listed] = [line for line in page.output_of("penstock models list").splitlines() if line.startswith("banking")]
    assert "champion" in listed
    decisions = json.loads(page.output_of("(?s)curl .*C_TEST_01"))
    for decision in decisions:
        scores = decision["scores"]
        assert decision["fraud_probability"] == pytest.approx(0.5 * scores["logistic_regression"] + 0.5 * scores["xgboost"])
        assert decision["model_version"] in listed
