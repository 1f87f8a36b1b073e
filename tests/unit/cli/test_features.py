"""Commands that read events know the features that people made while services ran."""

import json

import pytest
from tests.service import mine

from penstock.cli import run
from penstock.config import Settings
from penstock.errors import PenstockError
from penstock.governance.features import FeatureStore
from penstock.offline import train as training
from penstock.wiring.database import office_of
from penstock.wiring.reports import drift as drifting

FILE = mine.__file__
COUNT = {"entity": "customer", "kind": "count", "window": "2h"}
EVENT = {"transaction_id": "t1", "timestamp": "2026-01-05T10:00:00Z", "customer_id": "c1", "amount": 5.0}


class Nothing:
    """Refuses nothing: what fits is not what is tested here."""

    def fit(self, _versions):
        pass

    def readers(self, _name, _others):
        return ()


@pytest.fixture(autouse=True)
def active(tmp_path, monkeypatch):
    """A feature that was made at run time, and has been filled."""
    monkeypatch.setenv("PENSTOCK_DATA", str(tmp_path))
    with office_of(Settings(data=tmp_path)) as database:
        book = FeatureStore(database, mine.detector.name, Nothing())
        book.add("lately", COUNT, who="ann", why="for a rule")
        book.activate("lately", who="ann")
        book.filled("lately", 1, {"since_us": 1, "whole_us": 2, "sentence": "whole"}, who="service")


def test_scoring_computes_them(tmp_path, capfd):
    (tmp_path / "events.ndjson").write_text(json.dumps(EVENT) + "\n")
    assert run(["score", FILE, str(tmp_path / "events.ndjson")]) == 0
    assert json.loads(capfd.readouterr().out)["features"]["lately"] == 1


@pytest.mark.parametrize("command", ["drift", "report"])
def test_what_compares_and_what_reports_reads_them(command, tmp_path, monkeypatch, capfd):
    seen = []

    def looked(*arguments, **_options):
        seen.extend(each for each in arguments if hasattr(each, "features"))
        raise PenstockError("seen")

    monkeypatch.setattr(drifting, "drift_report", looked)
    monkeypatch.setattr(training, "run", looked)
    recorded = tmp_path / "recorded.csv"
    recorded.write_text("transaction_id,timestamp,customer_id,amount\nt1,2026-01-05T10:00:00Z,c1,5\n")
    asked = {"drift": ["drift", FILE], "report": ["report", "train", FILE, "--data", str(recorded)]}
    assert run(asked[command]) != 0
    assert "seen" in capfd.readouterr().err
    assert "lately" in seen[0].plan.features
