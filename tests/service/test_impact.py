"""The impact page: loss, prevention, false positives and effort of four weeks, from known outcomes alone."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import msgspec

from penstock import Detector, Engine, Entity, Label, Policy, Rule
from penstock.cases.case import case_id
from penstock.cases.store import Cases
from penstock.config import Settings
from penstock.database import SqliteDatabase
from penstock.rules import KeyShare
from penstock.service import MicroBatcher, create_app
from penstock.service.app import ServiceParts
from penstock.stream.cases import case_by_hand
from penstock.testing import SetClock

NOW = datetime(2026, 2, 25, 12, tzinfo=UTC)


class Sale(msgspec.Struct):
    """A customer pays."""

    id: str
    at: datetime
    customer: str
    amount: float
    is_fraud: bool | None = None


WATCHED = Rule("watched", "amount > 77", then="block", share=KeyShare())

detector = Detector(
    name="sales",
    event=Sale,
    id="id",
    time="at",
    label=Label("is_fraud", delay="7d"),
    features=[Entity("customer").count("1h")],
    rules=[Rule("large", "amount > 500", then="block"), Rule("odd", "amount = 77", then="review"), WATCHED],
    policy=Policy(on_failure="review"),
    currency="EUR",
)

DECIDED = [  # days ago, amount, and what became known
    (20, 900.0, True),
    (20, 100.0, True),
    (3, 700.0, False),
    (2, 600.0, None),
    (2, 77.0, None),
    (1, 50.0, False),
    (1, 800.0, True),
]


def asked(run, tmp_path):
    async def scene():
        clock = SetClock(NOW - timedelta(days=25))
        cases = Cases(SqliteDatabase(), clock=clock)
        with Engine(detector, data=tmp_path, clock=clock) as engine:
            desk = MicroBatcher.of(engine, Settings(data=tmp_path))
            for number, (days, amount, _) in enumerate(DECIDED):
                at = NOW - timedelta(days=days)
                clock.at(at)
                event = {"id": f"s{number}", "at": at.isoformat(), "customer": "C", "amount": amount}
                await desk.decide([json.dumps(event).encode()])
            found = engine.ledger.find("sales", "s4")
            cases.open(case_by_hand(engine, *found), "ana")
            clock.at(NOW - timedelta(hours=3))
            cases.take(case_id("sales", "s4"), "ana")
            clock.at(NOW - timedelta(hours=2, minutes=30))
            cases.take(case_id("sales", "s4"), "ana")
            clock.at(NOW - timedelta(hours=2))
            cases.decide(case_id("sales", "s4"), "ana", "unsure")
            clock.at(NOW)
            for number, (_, _, fraud) in enumerate(DECIDED):
                if fraud is not None:
                    await desk.label(json.dumps({"transaction_id": f"s{number}", "fraud": fraud}).encode())
            app = create_app({"sales": desk}, Settings(data=tmp_path), ServiceParts(cases=cases))
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                answer = await client.get("/insights/impact")
                assert answer.status_code == 200, answer.text
                return answer.json()

    return run(scene())


def test_impact_is_counted_from_known_outcomes_by_week_and_by_rule(run, tmp_path):
    found = asked(run, tmp_path)
    whole, weeks = found["whole"], found["weeks"]
    assert found["currency"] == "EUR"
    assert whole["loss"] == {"count": 1, "amount": 100.0}
    assert whole["prevented"] == {"count": 2, "amount": 1700.0}
    assert whole["false_positives"] == {"count": 1, "amount": 700.0}
    assert (whole["unknown_blocks"], whole["decisions"], whole["known"]) == (1, 7, 5)
    assert whole["review_hours"] == 0.5  # from the newest time it was taken to its verdict
    assert whole["review_rate"] == 1 / 7
    assert [week["prevented"]["amount"] for week in weeks] == [0.0, 900.0, 0.0, 800.0]
    assert [week["decisions"] for week in weeks] == [0, 2, 0, 5]
    assert sum(week["loss"]["amount"] for week in weeks) == whole["loss"]["amount"]
    large = found["rules"][0]
    assert (large["name"], large["fires"], large["prevented"]) == ("large", 4, {"count": 2, "amount": 1700.0})
    assert large["false_positives"] == {"count": 1, "amount": 700.0}
    assert large["precision"]["value"] is None  # three known outcomes are too few


def test_a_rule_in_shadow_or_for_review_has_prevented_nothing(run, tmp_path):
    odd, watched = (next(rule for rule in asked(run, tmp_path)["rules"] if rule["name"] == name) for name in ("odd", "watched"))
    assert (odd["action"], odd["fires"], odd["prevented"], odd["false_positives"]) == ("review", 1, None, None)
    assert (watched["state"], watched["fires"], watched["prevented"], watched["false_positives"]) == ("watching", 5, None, None)
