"""`penstock verify`: a decision of a detector that is a file is verified once its file is named."""

import json

import pytest

from penstock import Engine
from penstock.cli import run
from penstock.testing import example_detector

MINE = "from penstock.testing import example_detector\n\ndetector = example_detector()\n"


@pytest.fixture
def decided(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    event = {"transaction_id": "t1", "timestamp": "2026-01-05T10:00:00Z", "customer_id": "c", "amount": 3.0}
    with Engine(example_detector(), data=tmp_path / "data") as engine:
        engine.decide(event)


@pytest.mark.parametrize("which", [["t1"], ["--sample", "10"]])
def test_the_file_of_a_detector_that_is_not_installed_has_to_be_named(decided, capsys, which):
    assert run(["verify", *which, "--data", "data"]) == 2
    assert "which is not installed; name its file: --detector FILE.py" in capsys.readouterr().err
    assert run(["verify", *which, "--data", "data", "--detector", "mine.py", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["identical"] in (True, 1)
