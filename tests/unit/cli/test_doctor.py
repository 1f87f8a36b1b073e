"""`penstock doctor` names the rules that lowered the score in version 0.1 and no longer do, and no others."""

import json
import socket

import pytest
from click.testing import CliRunner

from penstock import cli

FILE = """
from datetime import datetime
import msgspec
from penstock import Detector, Entity, LogisticRegression, Policy, Rule

class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float

detector = Detector(
    "mine", event=Payment, id="transaction_id", time="timestamp", features=[Entity("customer_id").count("1h")],
    models=[MODELS], rules=[RULES], policy=Policy(POLICY),
)
"""
SCORED = "review_at=0.4, block_at=0.8"


@pytest.fixture
def run(tmp_path):
    """Runs a command over a detector's file and a data folder; what it prints."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def ask(*arguments):
        flags = ["--port", str(port)] if arguments[0] == "doctor" else []
        with CliRunner().isolation() as (stdout, stderr, _):
            code = cli.run([*map(str, arguments), "--data", str(tmp_path / "data"), *flags])
            out, said = stdout.getvalue().decode(), stderr.getvalue().decode()
        assert code == 0, out + said
        return out

    return ask


@pytest.fixture
def told(run, tmp_path):
    """What the doctor says of the rules of a detector that is declared so."""

    def ask(rules, policy=SCORED, models="LogisticRegression()"):
        file = tmp_path / "mine.py"
        file.write_text(FILE.replace("MODELS", models).replace("RULES", rules).replace("POLICY", policy))
        findings = json.loads(run("doctor", file, "--json"))
        assert all(each["remedy"] is None for each in findings)
        return [each["found"] for each in findings if each["what"] == f"detector {file}"]

    return ask


@pytest.mark.parametrize(
    ("rule", "policy", "cause"),
    [
        ('"odd", "amount > 5", then="review"', SCORED, "where the score reaches 0.8;"),
        (
            '"odd", "amount > 5", then="challenge"',
            SCORED,
            "where the score reaches 0.4 or something fails (on_failure='review');",
        ),
        (
            '"odd", "amount > 5", then="review"',
            SCORED + ', on_failure="block"',
            "reaches 0.8 or something fails (on_failure='block')",
        ),
        ('"odd", "score > 0.5", then="review"', SCORED, "where the score reaches 0.8;"),
        ('"odd", "amount > 5", then="review"', "", "where the score asks for more;"),
        ('"odd", "amount > 5 AND score < 0.8", then="review"', SCORED, None),
        ('"odd", "amount > 5 AND coalesce(score, 0) < 0.8", then="review"', SCORED, None),
        ('"odd", "amount > 5", then="review", override=True', SCORED, None),
        ('"odd", "amount > 5", then="review"', SCORED + ', order="rules_first"', None),
        ('"odd", "amount > 5", then="block"', SCORED, None),
        ('"odd", "amount > 5", then="allow"', SCORED, None),
    ],
)
def test_a_rule_is_named_where_the_score_or_a_failure_asks_for_more_than_it_does(told, rule, policy, cause):
    loads, *sentences = told(f"Rule({rule})", policy)
    assert loads == "loads"
    assert len(sentences) == (cause is not None)
    for sentence in sentences:
        assert sentence.startswith("rule 'odd' asks for ")
        assert cause in sentence
        assert "override=True" in sentence


def test_without_models_only_a_failure_asks_for_more(told):
    assert told('Rule("odd", "amount > 5", then="review")', models="") == ["loads"]
    assert "on_failure='review'" in told('Rule("odd", "amount > 5", then="challenge")', models="")[1]


def test_rules_that_people_let_act_are_named_and_drafts_are_not(told, run, tmp_path):
    assert told('Rule("big", "amount > 500", then="block")') == ["loads"]
    file = tmp_path / "mine.py"
    run("rules", "add", file, "late", "--when", "amount > 90", "--then", "review")
    assert told('Rule("big", "amount > 500", then="block")') == ["loads"]
    run("rules", "promote", file, "late", 1)
    assert "rule 'late' asks for review" in told('Rule("big", "amount > 500", then="block")')[1]
    run("rules", "add", file, "late", "--when", "amount > 90", "--then", "review", "--override")
    run("rules", "promote", file, "late", 2)
    assert told('Rule("big", "amount > 500", then="block")') == ["loads"]
    assert "-> review override" in run("rules", "show", file, "late")


def test_the_detectors_that_come_with_the_package_are_looked_at_as_well(run):
    findings = [each for each in json.loads(run("doctor", "--json")) if each["what"].startswith("detector ")]
    told = [(each["what"], each["found"].split(" asks")[0]) for each in findings if each["found"] != "loads"]
    assert told == [
        ("detector banking", "rule 'amount_spike'"),
        ("detector ecommerce", "rule 'shared_device'"),
        ("detector ecommerce", "rule 'device_with_frauds'"),
    ]
