"""Lists that people change, where events are replayed or scored: rules meet them as a service does."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from penstock.cli import run
from penstock.engine.startup import personal_key_of
from penstock.ingest.personal import tokeniser

DETECTOR = """
from datetime import datetime

import msgspec

from penstock import Detector, Entity, Rule


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    email: str


detector = Detector(
    "listed",
    event=Payment,
    id="transaction_id",
    time="timestamp",
    features=[Entity("customer_id").count("1h")],
    models=[],
    lists={"stolen": ["C0"], "spammers": []},
    rules=[
        Rule("stolen_card", "customer_id IN list('stolen')", then="block"),
        Rule("spammer", "email IN list('spammers')", then="review"),
    ],
    personal=["email"],
)
"""


@pytest.fixture
def ask(tmp_path, capfd, monkeypatch):
    """Runs a command over one data folder: `ask("score", "events.ndjson")`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "listed.py").write_text(DETECTOR)

    def ask(*arguments):
        assert run([*arguments, "--data", str(tmp_path / "data")]) == 0, capfd.readouterr().err
        return capfd.readouterr().out

    return ask


def payment(number, customer, email="a@b.example", at=None):
    at = at or datetime.now(UTC)
    return {"transaction_id": f"t{number}", "timestamp": at.isoformat(), "customer_id": customer, "email": email}


def scored(ask, *events):
    Path("events.ndjson").write_text("".join(json.dumps(event) + "\n" for event in events))
    return [json.loads(line)["decision"] for line in ask("score", "listed.py", "events.ndjson").splitlines()]


def test_scoring_asks_the_lists_as_people_have_changed_them(ask):
    events = [payment(0, "C0"), payment(1, "C1"), payment(2, "C2")]
    assert scored(ask, *events) == ["BLOCK", "APPROVE", "APPROVE"]
    ask("lists", "add", "listed.py", "stolen", "C1")
    ask("lists", "remove", "listed.py", "stolen", "C0")
    assert scored(ask, *events) == ["APPROVE", "BLOCK", "APPROVE"]


def test_a_replay_meets_each_list_as_it_was_when_the_event_arrived(ask):
    ask("lists", "add", "listed.py", "stolen", "C1")
    ask("lists", "remove", "listed.py", "stolen", "C0")
    now = datetime.now(UTC)
    arrivals = [now - timedelta(hours=1)] * 3 + [now + timedelta(minutes=1)] * 3
    events = [payment(number, f"C{number % 3}", at=at) for number, at in enumerate(arrivals)]
    frame = pl.DataFrame(events).with_columns(pl.Series("arrived_at", arrivals), pl.Series("timestamp", arrivals))
    frame.write_parquet("events.parquet")
    ask("replay", "listed.py", "events.parquet", "--out", "decided.parquet")
    assert pl.read_parquet("decided.parquet")["decision"].to_list() == [
        *("BLOCK", "APPROVE", "APPROVE"),  # before: what the file says
        *("APPROVE", "BLOCK", "APPROVE"),  # by now
    ]


def test_tokens_of_personal_values_are_those_that_the_data_folder_makes(ask, tmp_path):
    ask("lists", "add", "listed.py", "spammers", tokeniser(personal_key_of(tmp_path / "data"))("x@spam.example"))
    events = [payment(0, "C5", "x@spam.example"), payment(1, "C6")]
    assert scored(ask, *events) == ["REVIEW", "APPROVE"]
    pl.DataFrame(events).with_columns(pl.lit("2099-01-01T00:00:00Z").alias("arrived_at")).write_csv("events.csv")
    ask("replay", "listed.py", "events.csv", "--out", "decided.csv")
    assert pl.read_csv("decided.csv")["decision"].to_list() == ["REVIEW", "APPROVE"]
