"""Decisions are made by the order that the policy names, and verified by the one under which they were recorded."""

import json
import random
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from penstock import Engine, cli
from penstock.decision.policy import ORDERS, RULES_FIRST
from penstock.engine import verify
from penstock.ledger.archive import Archive
from penstock.messages import Action
from penstock.models import load_champion
from penstock.offline.replay import replay
from tests.integration import ordered

SEVERITY = [action.name for action in Action]
ASKS = {"odd": "REVIEW", "round": "CHALLENGE", "large": "BLOCK"}
RECORDED = 400
OLD_VERSION = "67dd5742b0d0"


@pytest.fixture
def folder(tmp_path):
    """400 decisions about `ordered.payments`, and the models that scored them: made with version 0.1."""
    with zipfile.ZipFile(Path(__file__).with_name("version_0_1_rules.zip")) as packed:
        packed.extractall(tmp_path)
    return tmp_path


@pytest.fixture
def engine(folder):
    with Engine(ordered.detector, models=folder / "models", data=folder / "data") as opened:
        yield opened


def recorded(engine):
    """What the ledger holds: for each id the record and the row."""
    return {
        name: (record, row)
        for _, record in engine.ledger.read()
        if record.kind == "decisions"
        for row, name in enumerate(record.ids)
    }


def action(record, row):
    return Action(int(record.columns["action"][row])).name


def expected(order, score, fired):
    """What is decided, said plainly."""
    if "stolen" in fired:
        return "BLOCK"
    if "friend" in fired:
        return "APPROVE"
    asked = "BLOCK" if score >= 0.7 else "REVIEW" if score >= 0.4 else "CHALLENGE" if score >= 0.2 else "APPROVE"
    rules = [ASKS[name] for name in fired]
    return max(rules if rules and order == RULES_FIRST else [asked, *rules], key=SEVERITY.index)


def test_the_version_of_a_detector_under_the_old_order_is_that_of_version_0_1(engine):
    assert ordered.detector.with_order(RULES_FIRST).version == OLD_VERSION != ordered.detector.version
    assert {record.meta["versions"]["detector"] for record, _ in recorded(engine).values()} == {OLD_VERSION}


def test_200_decisions_of_version_0_1_are_verified_by_its_order_and_new_ones_by_theirs(engine, folder):
    for event in ordered.payments(100, RECORDED):
        engine.decide(event)
    found = recorded(engine)
    assert len(found) == RECORDED + 100
    old, new = list(found)[:RECORDED], list(found)[RECORDED:]
    chosen = [*random.Random(7).sample(old, 200), *random.Random(7).sample(new, 20)]
    differing = [name for name in chosen if not verify(engine.ledger, ordered.detector, name, folder / "models").identical]
    assert differing == []
    lowered = 0
    for names, order in ((old, RULES_FIRST), (new, "severest")):
        for name in names:
            record, row = found[name]
            fired = [rule.name for rule in ordered.detector.plan.rules if record.columns["x"][row, rule.index] == 1.0]
            score = float(record.columns["scores"][row, 0])
            assert action(record, row) == expected(order, score, fired)
            lowered += action(record, row) != expected("severest", score, fired)
    assert lowered > 10, "the folder holds decisions that the new order makes otherwise"


def test_a_decision_of_version_0_1_is_verified_on_the_command_line(folder):
    with CliRunner().isolation() as (stdout, stderr, _):
        flags = ["--detector", str(Path(ordered.__file__)), "--data", str(folder / "data"), "--models", str(folder / "models")]
        code = cli.run(["verify", "t17", *flags, "--json"])
        out, said = stdout.getvalue().decode(), stderr.getvalue().decode()
    assert code == 0, said
    assert json.loads(out)["identical"] is True


def test_10_000_recorded_decisions_replay_under_the_order_that_made_them(folder):
    events = ordered.payments(10_000)
    ensemble = load_champion(folder / "models", "ordered")
    frames = {}
    for order in ORDERS:
        detector = ordered.detector.with_order(order)
        with Engine(detector, models=ensemble) as engine:
            engine.decide_many(events)
            engine.ledger.flush()
            with Archive(engine.ledger) as archive:
                made = archive.query("SELECT * FROM ordered ORDER BY seq")
        replayed = replay(detector, made.select("transaction_id", "timestamp", "customer_id", "amount", "kind"), ensemble)
        assert (replayed["transaction_id"] == made["transaction_id"]).all()
        assert (replayed["decision"] != made["decision"]).sum() == 0
        frames[order] = made
    rules = [*ASKS, "friend", "stolen"]
    differ = 0
    for row in zip(*(frames[order].iter_rows(named=True) for order in ORDERS), strict=True):
        fired = [name for name in rules if row[0][f"rule_{name}"]]
        for each, order in zip(row, ORDERS, strict=True):
            assert each["decision"] == expected(order, each["fraud_probability"], fired)
        differ += row[0]["decision"] != row[1]["decision"]
    assert differ > 200
