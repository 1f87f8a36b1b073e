"""The listed decisions of a key, found by codes in memory, are those that a walk over all records finds, page by page."""

from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
import pytest

from penstock import Detector, Engine, Entity, Rule
from penstock.engine import decision_history, recent_decisions
from penstock.features.definitions import Added, Described
from penstock.testing import SetClock

SCANNED = 70
START = datetime(2026, 1, 5, 10, tzinfo=UTC)
DEVICES = [Added("device_payments", Described(kind="count", entity="device", keys=("device_id",), window="3h"))]


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    sender: str
    receiver: str
    amount: float
    user_id: int
    device_id: str | None = None


account = Entity("account", roles={"sent": "sender", "received": "receiver"})
pair = Entity("sender", "receiver", name="pair")
user = Entity("user_id")
detector = Detector(
    "keys",
    event=Payment,
    id="transaction_id",
    time="timestamp",
    features=[account.count("1h", role="sent"), pair.count("1h"), user.count("1h")],
    rules=[Rule("large", "amount > 800", then="review")],
)
FIELDS = {"account": ("sender", "receiver"), "user": ("user_id",), "device": ("device_id",)}


@pytest.fixture
def small(monkeypatch):
    """Few decisions are kept in memory, and a listing reads few."""
    monkeypatch.setattr(decision_history, "_MOST_SCANNED", SCANNED)
    monkeypatch.setattr(recent_decisions, "MOST", 120)
    monkeypatch.setattr(recent_decisions, "_ROWS_TOGETHER", 30)


def payments(count, begun=0):
    chance = Random(begun)
    for number in range(begun, begun + count):
        yield {
            "transaction_id": f"t{number}",
            "timestamp": START + timedelta(seconds=number),
            "sender": f"a{chance.randrange(6)}",
            "receiver": f"a{chance.randrange(6)}",
            "amount": float(chance.randrange(1000)),
            "user_id": 10 + chance.randrange(3),
            "device_id": chance.choice(["d1", "d2", None]),
        }


def decide(engine, clock, count, begun=0):
    events, chance = list(payments(count, begun)), Random(begun + 1)
    clock.at(START + timedelta(seconds=begun + count))
    while events:
        size = chance.choice([1, 3, 25])
        engine.decide_many(events[:size])
        events = events[size:]


def walked(engine, events, entity, key, *, limit, before, decision):
    """The page of a walk over every decision."""
    page, fields = [], FIELDS.get(entity)
    rows = engine.ledger.recent(detector.name, before=None if before is None else int(before))
    for scanned, (record, row) in enumerate(rows, 1):
        event = events[record.ids[row]]
        values = [f"{event['sender']}|{event['receiver']}"] if fields is None else [str(event[field]) for field in fields]
        action = "REVIEW" if event["amount"] > 800 else "APPROVE"
        if key in values and decision in (None, action):
            page.append(record.ids[row])
        if len(page) == limit or scanned == SCANNED:
            return page, str(record.first_seq + row)
    return page, None


def pages_agree(engine, count):
    """Follow all pages of several keys, with limits and filters; how many decisions were listed."""
    events = {event["transaction_id"]: event for event in payments(count)}
    keys = [("account", "a1"), ("account", "nobody"), ("user", "11"), ("user", "eleven"), ("pair", "a1|a2")]
    entities = {plan.entity.name for plan in engine.active.detector.plan.entities}
    listed = 0
    for entity, key in [*keys, *([("device", "d1")] if "device" in entities else [])]:
        for limit, decision in ((1, None), (4, "REVIEW"), (1000, None)):
            before, pages = None, 0
            while True:
                asked = {"limit": limit, "before": before, "decision": decision}
                found, following = engine.history.transactions(entity=entity, key=key, **asked)
                ids = [msgspec.json.decode(each)["transaction_id"] for each in found]
                expected = walked(engine, events, entity, key, **asked)
                if key == "eleven":  # a text is no key of numbers, so nothing has to be read
                    assert (ids, following) == ([], None)
                    break
                assert (ids, following) == expected, (entity, key, asked)
                listed, before, pages = listed + len(ids), following, pages + 1
                if before is None:
                    break
            assert key == "eleven" or pages >= 3
    return listed


@pytest.mark.usefixtures("small")
def test_pages_are_those_of_a_walk_over_all_decisions_also_after_a_restart(tmp_path):
    clock = SetClock(START)
    with Engine(detector, data=tmp_path, clock=clock) as engine:
        decide(engine, clock, 300)
        assert pages_agree(engine, 300) > 300
    with Engine(detector, data=tmp_path, clock=clock) as engine:
        assert pages_agree(engine, 300) > 300  # nothing is in memory yet
        engine.history.of_key("account", "a1")  # now the newest are
        assert pages_agree(engine, 300) > 300


@pytest.mark.usefixtures("small")
def test_decisions_of_before_an_entity_was_added_are_found_too(tmp_path):
    clock = SetClock(START)
    with Engine(detector, data=tmp_path, clock=clock) as engine:
        decide(engine, clock, 60)
        engine.history.of_key("account", "a1")
        filling = engine.active.backfill(DEVICES)
        filling.run()
        engine.activate_features(filling)
        events = list(payments(100))[60:]
        engine.decide_many(events)
        listed = engine.history.transactions(limit=1000, entity="device", key="d1")[0]
        expected = [event["transaction_id"] for event in payments(100) if event["device_id"] == "d1"]
        assert [msgspec.json.decode(each)["transaction_id"] for each in listed] == expected[::-1][: len(listed)]
        assert len(listed) > sum(event["device_id"] == "d1" for event in events)


@pytest.mark.usefixtures("small")
def test_records_without_the_key_are_not_read(tmp_path, monkeypatch):
    clock = SetClock(START)
    with Engine(detector, data=tmp_path, clock=clock) as engine:
        decide(engine, clock, 65)
        read = []
        whole = engine.ledger.record_of
        monkeypatch.setattr(engine.ledger, "record_of", lambda seq: read.append(seq) or whole(seq))
        assert engine.history.transactions(entity="account", key="nobody") == ([], None)
        assert read == []
        found, _ = engine.history.transactions(entity="account", key="a1")
        assert 0 < len(read) <= len(found)
