"""`penstock rules` as a person uses it."""

import json

import pytest
from tests.service import mine

from penstock import Engine
from penstock.cli import run

FILE = mine.__file__


@pytest.fixture
def rules(tmp_path, capfd):
    def ask(*arguments, fails=0):
        assert run(["rules", arguments[0], FILE, *arguments[1:], "--data", str(tmp_path)]) == fails
        return capfd.readouterr()

    return ask


def test_the_life_of_a_rule(rules, tmp_path):
    assert "fourth_in_an_hour 1  active" in rules("list").out
    assert "draft" in rules("add", "large", "--when", "amount > 900", "--then", "block", "--note", "as agreed").err
    assert "shadow" in rules("shadow", "large", "1").err
    assert "rollout 10 % of customer_id" in rules("rollout", "large", "1", "--percent", "10", "--of", "customer_id").err
    assert "active" in rules("promote", "large").err
    exported = [json.loads(line) for line in rules("export").out.splitlines()]
    assert exported[-1] == {
        "name": "large",
        "version": 1,
        "body": {"when": "amount > 900", "then": "block", "reason": None, "code": "", "hard": False, "override": False},
    }
    assert "paused" in rules("pause", "large").err
    file = tmp_path / "rules.ndjson"
    file.write_text(json.dumps({"name": "larger", "body": {"when": "amount > 9000"}}))
    assert "larger 1  draft" in rules("import", str(file)).err
    rules("archive", "larger")
    assert "larger" not in rules("list").out
    assert "larger" in rules("list", "--all").out


def test_a_promotion_says_how_many_outcomes_a_version_lowers_a_day(rules, tmp_path):
    rules("add", "known", "--when", "amount > 900", "--then", "review", "--override")
    assert "what it lowers is not known" in rules("promote", "known", "1").err
    rules("pause", "known")
    with Engine(mine.detector, data=tmp_path) as engine:
        for day, amount in enumerate((10.0, 1000.0, 10.0, 10.0, 1000.0), 5):
            event = {"transaction_id": f"t{day}", "timestamp": f"2026-01-{day:02}T10:00:00Z", "customer_id": "c"}
            engine.decide(event | {"amount": amount})
        blocked = [engine.ledger.find("mine", f"t{day}") for day in (6, 9)]
    assert None not in blocked
    said = rules("promote", "known", "1").err
    assert "review override" in said
    assert "it lowers 1 outcomes of 5 days, 0.20 a day" in said
    rules("add", "strict", "--when", "amount > 900", "--then", "review")
    assert "lowers" not in rules("promote", "strict", "1").err


def test_conditions_are_checked_without_being_saved(rules):
    assert "reads amount" in rules("test", "amount > 3").out
    assert "is true for every event" in rules("test", "1 < 2").out
    assert "same condition" in rules("test", "amount_ratio > 10").out
    assert "Did you mean amount" in rules("test", "amuont > 3", fails=2).err


def test_mistakes_say_what_there_is(rules):
    assert "Did you mean amount_spike" in rules("promote", "amount_spik", fails=1).err
