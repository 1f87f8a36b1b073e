"""`penstock train`: every wish reaches the training, and wishes that contradict one another are refused with the remedy."""

import json

import pytest
from click.testing import CliRunner
from tests.unit.offline.conftest import payments

from penstock.cli import commands

MINE = """
from datetime import datetime
import msgspec
from penstock import Detector, Entity, Label, LogisticRegression

class Payment(msgspec.Struct):
    id: str
    time: datetime
    customer: str
    branch: str
    amount: float
    fraud: bool | None = None

detector = Detector(
    "mine", event=Payment, id="id", time="time", label=Label("fraud", delay="2d"),
    features=[Entity("customer").count("1d")], inputs=["amount", "branch", "customer_count_1d"], models=[LogisticRegression()],
)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    here = tmp_path_factory.mktemp("train")
    (here / "mine.py").write_text(MINE)
    payments(2000).write_parquet(here / "paid.parquet")
    return here


@pytest.fixture
def train(folder, monkeypatch):
    monkeypatch.chdir(folder)

    def invoked(*arguments):
        return CliRunner().invoke(commands, ["train", "mine.py", "--data", "paid.parquet", *arguments])

    return invoked


def test_wishes_reach_the_training(train):
    result = train("--thresholds", "cost", "--review-cost", "2", "--trials", "2", "--imbalance", "weights", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["choice"]["by"] == "cost"
    assert report["choice"]["review"] == 2
    assert len(report["tuning"]["logistic_regression"]["trials"]) == 2
    assert report["intervals"]["roc_auc"][0] < report["test"]["roc_auc"] < report["intervals"]["roc_auc"][1]
    assert report["decided_rates"]["recall"]["part"] > 0
    assert len(report["curve"]) > 20


def test_folds_are_shown_one_by_one(train):
    result = train("--folds", "2")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    begin = next(at for at, line in enumerate(lines) if line.startswith("fold, tested from"))
    assert all(line.startswith("2026-0") for line in lines[begin + 1 : begin + 3])
    assert any(line.startswith("review from ") for line in lines)


def test_treatments_are_shown_model_by_model(train):
    result = train("--compare-imbalance")
    assert result.exit_code == 0, result.output
    begin = result.stdout.splitlines().index(next(each for each in result.stdout.splitlines() if "regression with" in each))
    names = [line.split()[0] for line in result.stdout.splitlines()[begin + 1 : begin + 6]]
    assert names == ["none", "weights", "smote", "smoteenn", "under"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--thresholds", "capacity"], "needs --reviews-per-day N"),
        (["--thresholds", "cost", "--review-fpr", "0.1"], "--review-fpr says nothing about thresholds by cost"),
        (["--review-cost", "3"], "--review-cost says nothing about thresholds by fpr"),
        (["--review-fpr", "2"], "review_fpr = 2.0: it is a share"),
        (["--folds", "2", "--test-from", "2026-02-10"], "leave out --test-from"),
        (["--model", "xgbost"], "Did you mean xgboost?"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused_with_the_remedy(train, arguments, said):
    result = train(*arguments)
    assert result.exit_code != 0
    assert said in f"{result.output} {result.exception}"


def test_the_same_command_saves_the_same_version(train, folder):
    wishes = ["--save", "--json", "--trials", "2", "--imbalance", "smote"]
    versions = [json.loads(train(*wishes, "--models", str(folder / place)).stdout)["model_version"] for place in ("a", "b")]
    assert versions[0] == versions[1]
