"""Backtests over a data folder, by command: what was recorded, what has to be replayed, and what cannot be asked."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from penstock import Engine
from penstock.adapters.s3 import ArchiveSink
from penstock.cli import run
from penstock.wiring.detectors import load_detector

DECLARED = """
from datetime import datetime
import msgspec
from penstock import Detector, Entity, Label, Policy, Rule

class Payment(msgspec.Struct):
    id: str
    time: datetime
    customer: str
    amount: float
    fraud: bool | None = None

customer = Entity("customer")
detector = Detector(
    "shop", event=Payment, id="id", time="time", label=Label("fraud", delay="2d"),
    features=[customer.count("1d"), {features}],
    rules=[{rules}],
    policy=Policy(),
)
"""
RULES = 'Rule("large", "amount > 80", then="block"), Rule("often", "customer_count_1d >= 5", then="review")'
START = datetime(2026, 2, 1, tzinfo=UTC)
COUNT = 400


def payments():
    rng = np.random.default_rng(2)
    at = np.sort(rng.random(COUNT)) * 10
    return [
        {
            "id": f"p{i}",
            "time": START + timedelta(days=float(at[i])),
            "customer": f"c{rng.integers(0, 25)}",
            "amount": round(float(rng.exponential(40)), 2),
        }
        for i in range(COUNT)
    ]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A data folder with decisions, an archive of them, and the files of the detector and of one with a new feature."""
    folder = tmp_path_factory.mktemp("shop")
    champion, candidate = folder / "champion.py", folder / "candidate.py"
    champion.write_text(DECLARED.format(features="", rules=RULES))
    spent = 'customer.sum("amount", "2d").named("spent")'
    more = RULES.replace("> 80", "> 70") + ', Rule("spends", "spent > 150", then="challenge")'
    candidate.write_text(DECLARED.format(features=spent, rules=more))
    data, events = folder / "data", payments()
    with Engine(load_detector(str(champion)), data=data) as engine:
        engine.decide_many(events)
        for k in range(0, COUNT, 9):
            engine.label(f"p{k}", fraud=k % 2 == 0, at=START + timedelta(days=12))
        engine.ledger.flush()
        sink = ArchiveSink(str(folder / "archive"), "shop", engine.ledger, every_s=3600)
        sink.begin(1)
        sink.write([(position, record) for position, record in engine.ledger.read()])
        sink.close()
    return folder, events


def asked(capsys, *arguments):
    """The JSON that a command prints."""
    assert run(["backtest", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def naive_spent(events):
    """What each customer spent within two days, the event itself included."""
    return {
        event["id"]: sum(
            other["amount"]
            for other in events
            if other["customer"] == event["customer"] and event["time"] - timedelta(days=2) < other["time"] <= event["time"]
        )
        for event in events
    }


def test_a_condition_is_tried_over_a_data_folder(shop, capsys):
    folder, events = shop
    found = asked(capsys, "condition", folder / "champion.py", "amount > 60", "--data", folder / "data", "--then", "review")
    assert found["matched"] == sum(event["amount"] > 60 for event in events)
    assert found["caught_by"][0] == {"rule": "large", "count": sum(event["amount"] > 80 for event in events)}
    assert found["replayed"] == []


def test_the_archive_of_objects_gives_the_same(shop, capsys):
    folder, _ = shop
    asks = ("condition", folder / "champion.py", "amount > 60 AND customer_count_1d >= 2")
    here = asked(capsys, *asks, "--data", folder / "data")
    there = asked(capsys, *asks, "--archive", folder / "archive")
    assert {**here, "seconds": 0} == {**there, "seconds": 0}


def test_a_feature_that_was_not_recorded_is_replayed(shop, capsys):
    folder, events = shop
    spent = naive_spent(events)
    found = asked(capsys, "condition", folder / "candidate.py", "spent > 120", "--data", folder / "data", "--all")
    assert found["replayed"] == ["spent"]
    assert found["matched"] == sum(each > 120 for each in spent.values())
    assert found["truth"]["fraud"] == sum(k % 2 == 0 and spent[f"p{k}"] > 120 for k in range(0, COUNT, 9))


def test_every_rule_of_a_candidate_is_tried(shop, capsys):
    folder, events = shop
    found = asked(capsys, "rules", folder / "candidate.py", "--data", folder / "data")["rules"]
    assert {name: tried["then"] for name, tried in found.items()} == {
        "large": "block",
        "often": "review",
        "spends": "challenge",
    }
    assert found["large"]["matched"] == sum(event["amount"] > 70 for event in events)
    assert "large" not in {each["rule"] for each in found["large"]["caught_by"]}


def test_people_are_told_the_same(shop, capsys):
    folder, _ = shop
    assert run(["backtest", "condition", str(folder / "champion.py"), "amount > 60", "--data", str(folder / "data")]) == 0
    shown = capsys.readouterr().out
    assert "caught by large" in shown
    assert "money: loss caught" in shown
    assert run(["backtest", "rules", str(folder / "champion.py"), "--data", str(folder / "data")]) == 0
    assert "often" in capsys.readouterr().out


def decided(reference, events):
    """What an engine of its own decides."""
    with Engine(load_detector(str(reference))) as engine:
        return {decision.transaction_id: decision.decision for decision in engine.decide_many(events)}


def known(k, before):
    """What is known of an event in the end, said plainly."""
    if k % 9 == 0:
        return "fraud" if k % 2 == 0 else "good"
    return before


@pytest.mark.parametrize("source", ["data", "archive"])
def test_what_decided_decides_the_same_in_a_replay(shop, capsys, source):
    folder, _ = shop
    found = asked(capsys, "--detector", folder / "champion.py", "--data", folder / source)
    assert (found["events"], found["flips"], found["alone"]) == (COUNT, 0, 0)
    assert (found["champion"]["how"], found["candidate"]["how"]) == ("recorded", "replayed")


@pytest.mark.parametrize("champion", [[], ["--champion"]])
def test_a_candidate_is_compared_with_what_decides(shop, capsys, tmp_path, champion):
    folder, events = shop
    given = [*champion, *([folder / "champion.py"] if champion else [])]
    out = tmp_path / "flips.ndjson"
    found = asked(capsys, "--detector", folder / "candidate.py", "--data", folder / "data", "--out", out, *given)
    before, after = decided(folder / "champion.py", events), decided(folder / "candidate.py", events)
    pairs = Counter((before[name], after[name]) for name in before)
    assert {(a, b): n for a, row in found["matrix"].items() for b, n in row.items() if n} == dict(pairs)
    differ = [event for event in events if before[event["id"]] != after[event["id"]]]
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["id"], row["champion"], row["candidate"], row["amount"]) for row in rows] == [
        (event["id"], before[event["id"]], after[event["id"]], event["amount"]) for event in differ
    ]
    assert found["flips"] == len(differ) > 5
    assert {row["candidate_by"] for row in rows} <= {"large", "often", "spends"}
    end = events[-1]["time"] - timedelta(days=2)
    truth = {
        event["id"]: known(
            k, "young" if event["time"] > end else "unobjected" if before[event["id"]] == "APPROVE" else "untold"
        )
        for k, event in enumerate(events)
    }
    assert {row["id"]: row["truth"] for row in rows} == {event["id"]: truth[event["id"]] for event in differ}
    newly = [event for event in differ if before[event["id"]] == "APPROVE"]
    frauds = sum(event["amount"] for event in newly if truth[event["id"]] == "fraud")
    goods = sum(event["amount"] for event in newly if truth[event["id"]] in ("good", "unobjected"))
    assert found["money"]["loss_caught"] == pytest.approx(frauds, abs=0.01)
    assert found["money"]["good_stopped"] == pytest.approx(goods, abs=0.01)
    caught = [name for name, what in truth.items() if what == "fraud" and after[name] != "APPROVE"]
    assert found["candidate"]["frauds_stopped"] == len(caught)
    assert found["candidate"]["latency_us"]["total"] > 0
    assert bool(found["champion"]["latency_us"]) == bool(champion)


def test_a_file_that_does_not_say_what_was_decided_needs_a_champion(shop, capsys, tmp_path):
    folder, events = shop
    file = tmp_path / "events.parquet"
    pl.DataFrame(events).write_parquet(file)
    asks = ["--detector", folder / "candidate.py", "--data", file]
    assert run(["backtest", *map(str, asks)]) == 2
    assert "--champion" in capsys.readouterr().err
    found = asked(capsys, *asks, "--champion", folder / "champion.py")
    assert found["events"] == COUNT
    assert any("labelled" in note for note in found["notes"])
    assert run(["backtest", *map(str, [*asks, "--champion", folder / "champion.py"])]) == 0
    assert "champion (replayed)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--detector", "champion.py"), "name a candidate and its events"),
        (("condition", "champion.py", "amuont > 1"), "Did you mean amount"),
        (("condition", "champion.py", "amount > 1", "--data", "nowhere"), "there is no ledger"),
        (("condition", "champion.py", "amount > 1", "--days", "0"), "--days"),
    ],
)
def test_wrong_usage_is_said_and_ends_with_2(shop, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(shop[0])
    assert run(["backtest", *arguments]) == 2
    assert message in capsys.readouterr().err
