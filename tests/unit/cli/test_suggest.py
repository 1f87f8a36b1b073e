"""`penstock features suggest` writes code or drafts, and `train --features` says what models read."""

import json

import polars as pl
import pytest
from tests.unit.offline.suggest.test_suggest import payments

from penstock.cli import run
from penstock.config import Settings
from penstock.wiring.detectors import load_detector
from penstock.wiring.governance import open_features, with_stored_features

FILE = """
from datetime import datetime
import msgspec
from penstock import Detector, Label, LogisticRegression

class Payment(msgspec.Struct):
    id: str
    time: datetime
    customer_id: str
    amount: float
    fraud: bool | None = None

detector = Detector("shop", event=Payment, id="id", time="time", label=Label("fraud", delay="2d"),
                    inputs=["amount"], models=[LogisticRegression()])
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A detector's file and recorded payments."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.py").write_text(FILE)
    payments(5_000).select("id", "time", "customer_id", "amount", "fraud").write_parquet(folder / "payments.parquet")
    return folder


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("PENSTOCK_DATA", str(tmp_path))
    return Settings(data=tmp_path)


def test_the_code_is_written_with_the_gain_of_each_feature(shop, settings, tmp_path, capfd):
    out = tmp_path / "found.py"
    given = ["features", "suggest", str(shop / "shop.py"), "--data", str(shop / "payments.parquet"), "--out", str(out)]
    assert run([*given, "--json"]) == 0
    answer = json.loads(capfd.readouterr().out)
    assert answer["later"]["with"] > answer["later"]["without"]
    assert "# gain 0." in out.read_text()
    assert run(given) == 2  # never over a file without --force
    assert "exists" in capfd.readouterr().err


def test_drafts_are_added_together_and_read_by_models_once_they_are_active(shop, settings, capfd):
    file, data = str(shop / "shop.py"), str(shop / "payments.parquet")
    assert run(["features", "suggest", file, "--data", data, "--draft", "--who", "ann", "--note", "from March"]) == 0
    said = capfd.readouterr().err
    order = [line.split()[-1] for line in said.splitlines() if line.strip().startswith("penstock features activate")]
    detector = load_detector(file)
    with open_features(detector, settings) as store:
        drafts = store.versions()
        assert {draft.name for draft in drafts} == set(order)
        assert {draft.state for draft in drafts} == {"draft"}
        assert any(draft.note.startswith("from March; gain 0.") for draft in drafts)
        for name in order:  # each after what it reads
            store.activate(name, who="ann")
        for name in order:
            store.filled(name, 1, {"since_us": 1, "whole_us": 2, "sentence": "whole"}, who="service")
    assert {each.name for each in with_stored_features(detector, settings).added} == set(order)
    assert run(["train", file, "--data", data, "--features", "all", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["features"] == 1 + len(order)


def test_train_searches_before_its_test_and_saves_nothing(shop, settings, capfd):
    given = ["train", str(shop / "shop.py"), "--data", str(shop / "payments.parquet"), "--json"]
    assert run(given) == 0
    alone = json.loads(capfd.readouterr().out)
    assert run([*given, "--features", "auto"]) == 0
    searched = json.loads(capfd.readouterr().out)
    assert searched["test"]["average_precision"] > alone["test"]["average_precision"] + 0.2
    assert run([*given, "--features", "auto", "--save"]) == 2
    assert "features suggest --out FILE" in capfd.readouterr().err


def test_a_file_without_signal_suggests_nothing(shop, settings, tmp_path, capfd):
    frame = pl.read_parquet(shop / "payments.parquet").with_columns(fraud=pl.col("fraud").shuffle(seed=5))
    frame.write_parquet(tmp_path / "noise.parquet")
    given = ["features", "suggest", str(shop / "shop.py"), "--data", str(tmp_path / "noise.parquet"), "--json"]
    assert run(given) == 0
    answer = json.loads(capfd.readouterr().out)
    assert len(answer["suggested"]) <= 1
