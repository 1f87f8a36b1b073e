"""The Handbook's protocol over our features gives the Handbook's figures, for the model that leaves nothing to choose."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.data
@pytest.mark.slow
def test_logistic_regression_reproduces_the_books_table(recorded):
    """Average precision .623, card precision@100 .297, ROC AUC .868, each within .003."""
    file = recorded / "handbook_transactions.parquet"
    command = [sys.executable, "evaluation/handbook.py", str(file), "--quick", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)["test"]["logistic_regression"]
    book = {"average_precision": 0.623, "card_precision_at_100": 0.297, "roc_auc": 0.868}
    assert {name: found[name] for name in book} == pytest.approx(book, abs=0.003)


def test_the_protocols_features_are_the_fifteen_of_the_book():
    """Nothing beyond them feeds a model: amounts, calendar, three windows of the customer and three of the terminal."""
    sys.path.insert(0, str(ROOT / "evaluation"))
    try:
        from handbook import detector
    finally:
        sys.path.remove(str(ROOT / "evaluation"))
    windows = ("1d", "7d", "30d")
    expected = {"TX_AMOUNT", "weekend", "night"}
    expected |= {f"CUSTOMER_ID_{what}_{window}" for window in windows for what in ("count", "mean_TX_AMOUNT")}
    expected |= {f"TERMINAL_ID_{what}_{window}_delay_7d" for window in windows for what in ("count", "label_rate")}
    assert set(detector.plan.inputs) == expected
    assert len(expected) == 15
