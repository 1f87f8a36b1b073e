"""`penstock lists` as a person uses it, and what of `penstock rules` goes with it."""

import json

import pytest
from tests.service import mine

from penstock.cli import run

FILE = mine.__file__


@pytest.fixture
def ask(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def ask(group, *arguments, fails=0):
        assert run([group, *arguments, "--data", str(tmp_path)]) == fails
        return capfd.readouterr()

    return ask


def test_the_life_of_a_list(ask, tmp_path):
    assert "IN list('stolen')" in ask("lists", "create", FILE, "stolen", "--about", "phoned in").err
    assert "2 added" in ask("lists", "add", FILE, "stolen", "C1", "C2", "--reason", "case 7", "--expires", "30d").err
    assert "2 as they were" not in ask("lists", "add", FILE, "stolen", "C1", "--reason", "case 8").err
    assert "1 removed" in ask("lists", "remove", FILE, "stolen", "C2", "--note", "found").err
    assert "C1  in_force  case 8" in ask("lists", "show", FILE, "stolen").out
    assert "stolen  block  1 values" in ask("lists", "ls", FILE).out
    assert "stolen  C1  in_force" in ask("lists", "find", FILE, "C1").out
    ask("lists", "find", FILE, "C9", fails=1)
    exported = ask("lists", "export", FILE, "stolen").out
    (tmp_path / "stolen.csv").write_text(exported)
    ask("lists", "create", FILE, "other", "--kind", "watch")
    assert "1 added" in ask("lists", "import", FILE, "other", str(tmp_path / "stolen.csv")).err
    ask("lists", "archive", FILE, "other")
    assert [each["list"]["name"] for each in json.loads(ask("lists", "list", FILE, "--json").out)] == ["stolen"]


def test_conditions_ask_lists_and_mistakes_say_what_there_is(ask):
    ask("lists", "create", FILE, "stolen")
    tested = ask("rules", "test", FILE, "customer_id IN list('stolen')").out
    assert "asks the lists stolen" in tested
    assert "Did you mean stolen" in ask("rules", "test", FILE, "customer_id IN list('stoln')", fails=2).err
    assert "Did you mean stolen" in ask("lists", "add", FILE, "stoln", "C1", fails=1).err
    assert "as in stolen_devices" in ask("lists", "create", FILE, "no name", fails=2).err


def test_what_is_probably_not_meant_is_said_when_a_rule_is_added(ask):
    assert "never decides" in ask("rules", "add", FILE, "spike", "--when", "amount_ratio > 20").err
    shown = ask("rules", "show", FILE, "spike").out
    assert "draft" in shown
    ask("rules", "add", FILE, "spike", "--when", "amount_ratio > 30")
    assert "when: 'amount_ratio > 20' -> 'amount_ratio > 30'" in ask("rules", "show", FILE, "spike").out


def test_a_rule_is_snoozed_shown_and_acts_again(ask):
    ask("rules", "add", FILE, "large", "--when", "amount > 900")
    said = ask("rules", "snooze", FILE, "large", "customer", "C1", "--for", "2d", "--reason", "travels", "--who", "ann").err
    assert "large is snoozed for customer C1 until" in said
    shown = ask("rules", "snoozes", FILE, "large").out
    assert shown.startswith("customer  C1  until")
    assert "ann" in shown
    assert [each["reason"] for each in json.loads(ask("rules", "snoozes", FILE, "large", "--json").out)] == ["travels"]
    assert "at most 90d" in ask("rules", "snooze", FILE, "large", "customer", "C1", "--for", "1y", fails=2).err
    assert "acts on customer C1 again" in ask("rules", "unsnooze", FILE, "large", "customer", "C1").err
    assert "is not snoozed" in ask("rules", "unsnooze", FILE, "large", "customer", "C1", fails=1).err
    assert ask("rules", "snoozes", FILE, "large").out == ""


def test_with_four_eyes_a_promotion_waits_for_another(ask, tmp_path):
    (tmp_path / "penstock.toml").write_text("four_eyes = true\n")
    ask("rules", "add", FILE, "large", "--when", "amount > 900", "--who", "ann")
    assert "waits for another person" in ask("rules", "promote", FILE, "large", "1", "--who", "ann").err
    waiting = ask("rules", "approvals", "list", FILE).out
    assert "pending  promote rule large (version 1)  (ann" in waiting
    request = waiting.split()[0]
    assert "another person" in ask("rules", "approvals", "approve", FILE, request, "--who", "ann", fails=1).err
    ask("rules", "approvals", "approve", FILE, request, "--who", "bob")
    assert "large 1 active" in " ".join(ask("rules", "list", FILE).out.split())
    assert "approved by bob" in ask("rules", "approvals", "list", FILE, "--all").out
    assert "rule.promote" in ask("audit", "list", "--who", "bob").out


def test_a_value_is_no_formula_in_an_export_and_comes_back_as_it_was(ask, tmp_path):
    values = ["=cmd|' /C calc'!A0", "+49 170", "@x", "'=x", "'tis"]
    ask("lists", "create", FILE, "odd")
    ask("lists", "add", FILE, "odd", *values, "--reason", "=1+1")
    exported = ask("lists", "export", FILE, "odd").out
    assert not [line for line in exported.splitlines() if line[0] in "=+@" or ",=1+1" in line], exported
    (tmp_path / "odd.csv").write_text(exported)
    ask("lists", "create", FILE, "again")
    ask("lists", "import", FILE, "again", str(tmp_path / "odd.csv"))
    entries = json.loads(ask("lists", "show", FILE, "again", "--json").out)
    entries = entries if isinstance(entries, list) else entries["entries"]
    assert {each["value"] for each in entries} == set(values)
    assert {each["reason"] for each in entries} == {"=1+1"}


def test_nobody_writes_rules_as_the_detectors_file_does(ask):
    ask("rules", "add", FILE, "mine_too", "--when", "amount > 1", "--who", "file")
    assert '"author":"user:file"' in ask("rules", "show", FILE, "mine_too", "--json").out.replace(" ", "")
