"""Ids that come again, and ids that only look as if they did."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from penstock import Detector, Engine, Entity
from penstock.clock import to_us
from penstock.codes import text_code
from penstock.errors import MalformedEvent

LEFT, RIGHT = "a5ca6afa45e80b1a", "9d37b92dfab8ec50"
"""Two ids of one code, found in six minutes on one core: whoever chooses ids can have such a pair."""

START = datetime(2026, 1, 5, 10, tzinfo=UTC)


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float = 10.0


class Decline(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str


customer = Entity("customer_id")


def declared(**options) -> Detector:
    fixed = {"event": Payment, "id": "transaction_id", "time": "timestamp", "informs": [Decline]}
    fixed["features"] = [customer.count("1d"), customer.count("1d", of=Decline).named("declines")]
    return Detector("shop", **{**fixed, **options})


def payment(transaction_id: str, minutes: float = 0, **fields) -> bytes:
    at = START + timedelta(minutes=minutes)
    return msgspec.json.encode(
        {"transaction_id": transaction_id, "timestamp": at, "customer_id": "c", "amount": 10.0, **fields}
    )


def counted(engine: Engine, *bodies: bytes, **options) -> list[int]:
    """The count in each answer: the first payment of the customer says 1."""
    return [msgspec.json.decode(answer)["features"]["customer_count_1d"] for answer in engine.decide_json(bodies, **options)]


@pytest.fixture(params=["memory", "disk"])
def engine(request, tmp_path):
    with Engine(declared(), data=tmp_path if request.param == "disk" else None) as engine:
        yield engine


def test_the_two_ids_share_a_code() -> None:
    """Otherwise nothing below would show anything."""
    assert text_code(LEFT) == text_code(RIGHT)


def test_an_id_whose_code_is_known_is_decided_on_its_own(engine) -> None:
    """It gets no decision but its own, then and whenever it comes again; so does the other."""
    assert counted(engine, payment(LEFT)) == [1]
    assert counted(engine, payment(RIGHT)) == [2]
    assert counted(engine, payment("t3"), payment(RIGHT), payment(LEFT)) == [3, 2, 1]
    assert engine.stats()["total"] == 3
    assert engine.metrics["duplicates"] == 2
    assert [msgspec.json.decode(engine.queries.transaction(each))["transaction_id"] for each in (LEFT, RIGHT)] == [LEFT, RIGHT]


def test_two_such_ids_in_one_batch_are_both_decided(engine) -> None:
    """In their order, twins and refusals in between."""
    done = []
    bodies = [payment("t0"), payment(RIGHT), b"{}", payment(LEFT), payment(RIGHT), payment(LEFT, amount=9.0), payment("t9")]
    answers = engine.decide_json(bodies, on_durable=done.append)
    engine.ledger.flush()
    assert done == [None]
    assert answers.pop(2).status == 422
    decisions = [msgspec.json.decode(answer) for answer in answers]
    assert [decision["features"]["customer_count_1d"] for decision in decisions] == [1, 2, 3, 2, 3, 4]
    assert [decision.get("conflict") for decision in decisions] == [None, None, None, None, True, None]


def test_both_are_known_after_a_restart(tmp_path) -> None:
    """From the index on disk."""
    with Engine(declared(), data=tmp_path) as engine:
        counted(engine, payment(LEFT), payment(RIGHT))
    with Engine(declared(), data=tmp_path) as engine:
        assert counted(engine, payment(LEFT), payment(RIGHT), payment("t3")) == [1, 2, 3]


def test_such_an_id_is_forgotten_like_any_other() -> None:
    """An hour after it came, not after the other came."""
    hours = 0.0
    with Engine(declared(dedupe="1h"), clock=lambda: to_us(START) + int(hours * 3600 * 10**6)) as engine:
        assert counted(engine, payment(LEFT)) == [1]
        hours = 0.9
        assert counted(engine, payment(RIGHT)) == [2]
        hours = 1.2
        assert counted(engine, payment(RIGHT), payment(LEFT)) == [2, 3]
        hours = 4.0
        assert counted(engine, payment(RIGHT), payment(LEFT)) == [4, 5]


def test_informing_events_and_history_are_told_apart_too(engine) -> None:
    """Both count; the same ones again do not."""
    declines = [msgspec.json.encode({"type": "Decline", **msgspec.json.decode(payment(each))}) for each in (LEFT, RIGHT, LEFT)]
    assert engine.inform_json(declines) == [None, None, None]
    again = engine.reader.read([payment(LEFT), payment("h1"), payment(RIGHT)], engine.clock())
    assert engine.load(again) == 1
    [answer] = engine.decide_json([payment("t1")])
    assert msgspec.json.decode(answer)["features"] == {"customer_count_1d": 2, "declines": 2}


def test_a_dry_run_is_never_a_duplicate(engine) -> None:
    """It shows the first decision, and is counted nowhere."""
    counted(engine, payment("t1"))
    assert counted(engine, payment("t1"), payment("t1", amount=99.0), dry_run=True) == [1, 1]
    assert counted(engine, payment(LEFT), payment(RIGHT), dry_run=True) == [2, 2]
    assert (engine.metrics["duplicates"], engine.metrics["conflicts"]) == (0, 0)


def test_an_id_that_was_taken_in_without_a_decision_is_refused() -> None:
    """One event, or one among several."""
    with Engine(declared()) as engine:
        assert engine.load(engine.reader.read([payment("h1")], engine.clock())) == 1
        with pytest.raises(MalformedEvent, match="'h1' was taken in before"):
            engine.decide(msgspec.json.decode(payment("h1")))
        refused = []
        events = [msgspec.json.decode(payment(each)) for each in ("t1", "h1", "t2")]
        decisions = engine.decide_many(events, on_refused=lambda row, refusal: refused.append((row, refusal.status)))
        assert [decision.transaction_id for decision in decisions] == ["t1", "t2"]
        assert refused == [(1, 409)]
