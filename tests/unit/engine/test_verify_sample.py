"""Decisions of a sample are computed again in one pass, each from the state of its own moment."""

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from click.testing import CliRunner

from penstock import Detector, Engine, Entity, Label, Rule
from penstock.cli import commands
from penstock.engine import verify, verify_sample
from penstock.errors import DataError

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
card = Entity("card")
FILE = """
from datetime import datetime
import msgspec
from penstock import Detector, Entity, Rule

class Payment(msgspec.Struct):
    id: str
    at: datetime
    card: str
    amount: float
    fraud: bool | None = None

card = Entity("card")
mine = Detector("mine", event=Payment, id="id", time="at", features=[card.count("1h")], models=[],
                rules=[Rule("many", "card_count_1h > 3", then="block")])
"""


class Payment(msgspec.Struct):
    id: str
    at: datetime
    card: str
    amount: float
    fraud: bool | None = None


def detector(name: str = "mine") -> Detector:
    """Counts and labels of cards."""
    return Detector(
        name,
        event=Payment,
        id="id",
        time="at",
        label=Label("fraud", delay="1m"),
        features=[card.count("1h"), card.sum("amount", "1d"), card.label_count("1d")],
        models=[],
        rules=[Rule("many", "card_count_1h > 3", then="block")],
    )


def decided(engine: Engine, count: int = 60) -> None:
    """Single decisions and batches, with labels between them."""
    for first in range(0, count, 6):
        some = [Payment(f"t{n}", START + timedelta(seconds=20 * n), f"c{n % 5}", float(n)) for n in range(first, first + 6)]
        engine.decide_many(some[:4])
        for one in some[4:]:
            engine.decide(one)
        engine.label(f"t{first}", fraud=True, at=START + timedelta(seconds=20 * first + 70))


def test_a_sample_over_the_whole_log_is_identical() -> None:
    engine = Engine(detector())
    decided(engine)
    found = verify_sample(engine.ledger, detector(), 1_000, None, seed=1)
    assert sorted(each.transaction_id for each in found.verified) == sorted(f"t{n}" for n in range(60))
    assert found.differing == found.unverifiable == ()
    assert found.log_events == engine.ledger.next_seq
    alone = verify(engine.ledger, detector(), "t57", None)
    assert next(each for each in found.verified if each.transaction_id == "t57") == alone


def test_a_sample_takes_as_many_as_were_asked_for_and_no_others() -> None:
    engine = Engine(detector())
    decided(engine)
    found = verify_sample(engine.ledger, detector(), 7, None, seed=2)
    assert len({each.transaction_id for each in found.verified}) == 7
    other = verify_sample(engine.ledger, detector(), 7, None, seed=3)
    assert {each.transaction_id for each in other.verified} != {each.transaction_id for each in found.verified}
    with pytest.raises(DataError, match="no decision of detector 'other'"):
        verify_sample(engine.ledger, detector("other"), 7, None)


def test_a_value_that_was_changed_in_the_log_is_found_and_what_follows_is_not_blamed() -> None:
    engine = Engine(detector())
    decided(engine)
    record, row = engine.ledger.find("mine", "t31")
    record.columns["x"][row, detector().plan.layout["card_sum_amount_1d"].index] += 1e-6
    found = verify_sample(engine.ledger, detector(), 1_000, None)
    assert [each.transaction_id for each in found.differing] == ["t31"]
    assert [name for name, _, _ in found.differing[0].differences] == ["card_sum_amount_1d"]


def test_decisions_of_a_version_that_is_not_here_are_said_to_be_unverifiable() -> None:
    engine = Engine(detector())
    decided(engine, 6)
    other = Detector("mine", event=Payment, id="id", time="at", features=[card.count("2h")], models=[])
    found = verify_sample(engine.ledger, other, 100, None)
    assert (len(found.verified), len(found.unverifiable)) == (0, 6)
    assert "card_count_1h" in found.unverifiable[0][1]


def test_the_command_says_how_long_the_log_is_and_ends_with_0_only_where_all_are_identical(tmp_path) -> None:
    (tmp_path / "mine.py").write_text(FILE)
    run = CliRunner().invoke
    with Engine(detector(), data=tmp_path / "data") as engine:
        decided(engine, 6)
    place = ["--data", str(tmp_path / "data")]
    assert run(commands, ["verify", *place]).exit_code == 2
    unlike = run(commands, ["verify", "--sample", "4", "--detector", str(tmp_path / "mine.py"), "--json", *place])
    assert unlike.exit_code == 1
    assert len(json.loads(unlike.stdout)["unverifiable"]) == 4
    with Engine(_from(tmp_path / "mine.py"), data=tmp_path / "own") as engine:
        engine.decide_many([{"id": f"t{n}", "at": f"2026-01-05T10:00:0{n}Z", "card": "c", "amount": 1.0} for n in range(9)])
    place = ["--detector", str(tmp_path / "mine.py"), "--data", str(tmp_path / "own")]
    same = run(commands, ["verify", "--sample", "5", *place])
    assert same.exit_code == 0, same.output
    assert same.stdout.startswith("5 of 5 decisions are identical, recomputed in one pass over 9 events of the log in ")


def _from(path) -> Detector:
    from penstock.wiring.detectors import load_detector

    return load_detector(str(path))
