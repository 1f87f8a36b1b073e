"""Figures of the last minutes, hours and days: each is what counting the recorded decisions one by one gives."""

import itertools
import json
import math
import random
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from tests.service.mine import detector as mine

from penstock import Engine
from penstock.cases.case import NewCase
from penstock.cases.store import Cases
from penstock.config import Settings
from penstock.database import SqliteDatabase
from penstock.engine.statistics.buckets import RANGES
from penstock.service import MicroBatcher, create_app
from penstock.service.app import ServiceParts
from penstock.testing import SetClock

START = datetime(2026, 2, 6, 9, 58, 31, tzinfo=UTC)
US = 1_000_000
OUTCOMES = ("approve", "challenge", "review", "block")


@pytest.fixture
def clock():
    return SetClock(START)


@pytest.fixture
def engine(clock, tmp_path):
    with Engine(mine, data=tmp_path, clock=clock) as opened:
        yield opened


@pytest.fixture
def office():
    database = SqliteDatabase()
    yield database
    database.close()


@pytest.fixture
def ask(run, tmp_path):
    """Asks a service over an engine; the answer."""

    def send(engine, path, cases=None, status=200):
        async def scene():
            settings = Settings(data=tmp_path)
            app = create_app({engine.detector.name: MicroBatcher.of(engine, settings)}, settings, ServiceParts(cases=cases))
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                response = await client.get(path)
                assert response.status_code == status, response.text
                return response.json()

        return run(scene())

    return send


def traffic(engine, clock, count=400, hours=3.0, seed=0):
    """Decide random payments over some hours, in batches of random sizes; who was decided when is returned."""
    chance, at, decided = random.Random(seed), START, []
    while len(decided) < count:
        clock.at(at)
        some = [
            {
                "transaction_id": f"t{len(decided) + k}",
                "timestamp": (at - timedelta(minutes=chance.choice((0, 0, 90)))).isoformat(),
                "customer_id": f"C{chance.randrange(12)}",
                "terminal_id": "T1",
                "amount": chance.choice((0.0, 0.05, 3.0, 17.78, 100.0, 999.0, 25_000_000.0)),
            }
            for k in range(chance.choice((1, 1, 1, 5)))
        ]
        for decision in engine.decide_many(some):
            decided.append((clock(), decision, some[len(decided) % 1]))
        at += timedelta(seconds=chance.expovariate(count / (hours * 3600)))
    return decided


def naive(engine, range_, now_us):
    """The recorded decisions of a range, with what each was worth."""
    start_us = RANGES[range_].start_us(now_us)
    found = []
    for record, row in engine.ledger.recent(mine.name):
        if record.meta["decided_us"] >= start_us:
            shown = json.loads(engine.queries.render(record, [row])[0])
            found.append(
                (record.meta["decided_us"], int(record.time_us[row]), shown, engine.queries.value(record, row, "amount"))
            )
    return found


def by_outcome(found):
    return {name: sum(shown["decision"].lower() == name for _, _, shown, _ in found) for name in OUTCOMES}


@pytest.mark.parametrize("range_", RANGES)
def test_the_summary_counts_what_was_recorded(ask, engine, clock, range_):
    traffic(engine, clock)
    found, answer = naive(engine, range_, clock()), ask(engine, f"/insights/summary?range={range_}&detector=mine")
    assert found
    assert (answer["detector"], answer["range"], answer["processed"]) == ("mine", range_, len(found))
    assert answer["outcomes"] == by_outcome(found)
    assert answer["stopped_rate"] == pytest.approx(1 - answer["outcomes"]["approve"] / len(found))
    for name in OUTCOMES:
        worth = sum(amount for _, _, shown, amount in found if shown["decision"].lower() == name)
        assert answer["amounts"][name] == pytest.approx(worth)
    assert answer["amounts"]["total"] == pytest.approx(sum(amount for *_, amount in found))
    spent = sorted(shown["latency_ms"]["total"] for _, _, shown, _ in found)
    told = {stage["stage"]: stage for stage in answer["latency_ms"]["stages"]}
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        assert told["total"][name] == pytest.approx(spent[math.ceil(share * len(spent)) - 1], rel=0.06)
    assert answer["at_risk"] is None
    assert answer["currency"] is None


@pytest.mark.parametrize("range_", RANGES)
def test_the_series_has_every_bucket_and_counts_each_decision_in_the_one_it_was_made_in(ask, engine, clock, range_):
    traffic(engine, clock)
    found, answer = naive(engine, range_, clock()), ask(engine, f"/insights/series?range={range_}")
    points, step_us = answer["points"], answer["step"] * US
    starts = [datetime.fromisoformat(point["at"]) for point in points]
    assert answer["from"] == points[0]["at"]
    assert all(later - earlier == timedelta(microseconds=step_us) for earlier, later in itertools.pairwise(starts))
    assert starts[-1] <= clock_of(clock) < starts[-1] + timedelta(microseconds=step_us)
    for start, point in zip(starts, points, strict=True):
        begin = round(start.timestamp() * US)
        inside = [each for each in found if begin <= each[0] < begin + step_us]
        assert begin % step_us == 0
        assert {name: point[name] for name in OUTCOMES} == by_outcome(inside)
        assert point["amount"] == pytest.approx(sum(amount for *_, amount in inside), abs=0.01)
        blocked = sum(amount for _, _, shown, amount in inside if shown["decision"] == "BLOCK")
        assert point["amount_blocked"] == pytest.approx(blocked, abs=0.01)


def clock_of(clock):
    return datetime.fromtimestamp(clock() / US, UTC)


@pytest.mark.parametrize("range_", ["1h", "24h"])
def test_distributions_hold_every_decision_in_the_bin_of_its_value(ask, engine, clock, range_):
    traffic(engine, clock)
    found, answer = naive(engine, range_, clock()), ask(engine, f"/insights/distributions?range={range_}&detector=mine")
    assert answer["processed"] == len(found)
    assert answer["score"]["unscored"] == by_outcome(found), "this detector has no models"
    assert all(sum(each[name] for name in OUTCOMES) == 0 for each in answer["score"]["bins"])
    bins = answer["amount"]["bins"]
    for place, each in enumerate(bins):
        first, last = place == 0, place == len(bins) - 1
        inside = [one for one in found if (first or one[3] >= each["low"] - 1e-4) and (last or one[3] < each["high"] - 1e-4)]
        assert {name: each[name] for name in OUTCOMES} == by_outcome(inside), each
    assert answer["amount"]["field"] == "amount"
    for each in answer["hour"]["bins"]:
        inside = [one for one in found if datetime.fromtimestamp(one[1] / US, UTC).hour == each["hour"]]
        assert {name: each[name] for name in OUTCOMES} == by_outcome(inside)
    assert [each["hour"] for each in answer["hour"]["bins"]] == list(range(24))


@pytest.mark.parametrize("range_", ["1h", "24h"])
def test_rules_are_counted_with_what_labels_say_of_them(ask, engine, clock, range_):
    decided = traffic(engine, clock)
    fired = [decision for _, decision, _ in decided if decision.explanation.rules]
    assert len(fired) > 8
    for place, decision in enumerate(fired[:6]):
        engine.label(decision.transaction_id, fraud=place % 3 != 0)
    engine.label(fired[1].transaction_id, fraud=False)  # somebody was wrong
    known = {decision.transaction_id: place % 3 != 0 for place, decision in enumerate(fired[:6])} | {
        fired[1].transaction_id: False
    }
    found, answer = naive(engine, range_, clock()), ask(engine, f"/insights/rules?range={range_}&detector=mine")
    told = {rule["name"]: rule for rule in answer["rules"]}
    assert set(told) == {rule.name for rule in mine.rules}
    assert answer["labels_complete"]
    for name, rule in told.items():
        on = [each for each in found if name in {hit["name"] for hit in each[2]["explanation"]["rules"]}]
        assert (rule["fires"], rule["state"]) == (len(on), "deciding")
        assert rule["outcomes"] == by_outcome(on)
        assert rule["only"] == sum(len(each[2]["explanation"]["rules"]) == 1 for each in on)
        truth = [known[each[2]["transaction_id"]] for each in on if each[2]["transaction_id"] in known]
        assert (rule["labels"]["fraud"], rule["labels"]["good"]) == (sum(truth), len(truth) - sum(truth))
        assert rule["labels"]["unknown"] == len(on) - len(truth)
        assert rule["labels"]["known"] == len(truth) < 30
        assert {rule["labels"][key] for key in ("precision", "precision_low", "precision_high", "estimate")} == {None}
        last = max((each[0] for each in on), default=None)
        assert (rule["last_fired_at"] is None) == (last is None)
        assert last is None or round(datetime.fromisoformat(rule["last_fired_at"]).timestamp() * US) == last
    assert {each["name"] for each in answer["never"]} == {name for name, rule in told.items() if not rule["fires"]}


def test_blocked_money_is_known_presumed_or_mistaken_and_never_two_of_these(ask, engine, clock):
    blocked = [decision for _, decision, _ in traffic(engine, clock) if decision.decision == "BLOCK"]
    approved = [decision for _, decision, _ in traffic(engine, clock, seed=1)[:0]]
    assert not approved
    engine.label(blocked[0].transaction_id, fraud=True)
    engine.label(blocked[1].transaction_id, fraud=False)
    passed = next(each for each in naive(engine, "24h", clock()) if each[2]["decision"] == "APPROVE" and each[3] > 1)
    engine.label(passed[2]["transaction_id"], fraud=True)
    engine.label(blocked[2].transaction_id, fraud=True, at=datetime(2030, 1, 1, tzinfo=UTC))  # known only later
    found, answer = naive(engine, "24h", clock()), ask(engine, "/insights/summary?range=24h")
    worth = {each[2]["transaction_id"]: each[3] for each in found}
    prevented = answer["prevented"]
    assert prevented["known"] == {"count": 1, "amount": worth[blocked[0].transaction_id]}
    assert prevented["mistaken"] == {"count": 1, "amount": worth[blocked[1].transaction_id]}
    assert prevented["presumed"]["count"] == len(blocked) - 2
    assert sum(part["amount"] for part in prevented.values()) == pytest.approx(answer["amounts"]["block"])
    assert answer["missed"] == {"count": 1, "amount": passed[3]}
    labels = answer["labels"]
    assert (labels["fraud"], labels["good"], labels["unknown"], labels["complete"]) == (2, 1, len(found) - 3, True)
    assert (labels["known"], labels["fraud_rate"], labels["fraud_rate_low"]) == (3, None, None)  # too few for a rate
    assert answer["blocks"]["unknown"] == prevented["presumed"]
    assert answer["blocks"]["precision"] == {"value": None, "low": None, "high": None, "of": 2, "part": 1}
    assert answer["blocks"]["estimate"] is None  # no model scored


def test_value_at_risk_is_what_waits_for_people_now(ask, engine, clock, office):
    cases = Cases(office, clock=clock)
    about = {"origin": "review", "propensity": 1.0, "decision": "REVIEW", "score": 0.5, "reason": None, "event_us": 0}
    new = [
        NewCase(detector=name, transaction_id=f"t{k}", amount=10.0 * k, expected_loss=5.0 * k, **about)
        for k, name in enumerate(["mine", "mine", "other", "mine"])
    ]
    cases.follow("log", 1, new[:2])
    opened = clock()
    clock.at(START + timedelta(minutes=5))
    cases.follow("log", 2, new[2:])
    case = cases.take_next("ana")
    cases.decide(case.id, "ana", "good", version=case.version)
    waiting = ask(engine, "/insights/summary?detector=mine", cases=cases)["at_risk"]
    assert waiting == {
        "cases": 2,
        "amount": 10.0,
        "expected_loss": 5.0,
        "amounts": [{"currency": None, "amount": 10.0}],
        "oldest_at": datetime.fromtimestamp(opened / US, UTC).isoformat().replace("+00:00", "Z"),
        "oldest_age_s": 300.0,
    }


def test_after_a_restart_everything_is_counted_as_before(ask, clock, tmp_path):
    def told(engine):
        asked = ("summary", "distributions", "series", "rules")
        answers = [ask(engine, f"/insights/{what}?range={range_}") for what in asked for range_ in RANGES]
        for answer in answers[: len(RANGES)]:
            answer.pop("per_second")
            answer["latency_ms"].pop("callers")
        return answers

    with Engine(mine, data=tmp_path, clock=clock) as engine:
        traffic(engine, clock, count=150)
        engine.recovery.snapshot()
        traffic_after = [
            {"transaction_id": f"u{k}", "timestamp": START.isoformat(), "customer_id": "C1", "terminal_id": "T1", "amount": 5.0}
            for k in range(30)
        ]
        engine.decide_many(traffic_after)
        before = told(engine)
    for folder in (tmp_path / "state", None):  # with the newest snapshot, and from the log alone
        if folder is None:
            for path in (tmp_path / "state").rglob("*.state"):
                path.unlink()
        with Engine(mine, data=tmp_path, clock=clock) as engine:
            assert told(engine) == before


def test_nothing_is_invented_where_nothing_was_decided(ask, engine):
    answer = ask(engine, "/insights/summary?range=5m")
    assert (answer["processed"], answer["stopped_rate"], answer["labels"]["fraud_rate"]) == (0, None, None)
    assert answer["latency_ms"] == {"stages": [], "callers": {"p50": None, "p95": None, "p99": None, "newest": 0}}
    assert ask(engine, "/insights/distributions")["amount"]["bins"] == []
    assert all(rule["share"] is None for rule in ask(engine, "/insights/rules")["rules"])


def test_what_is_no_range_or_no_detector_is_refused(ask, engine):
    assert ask(engine, "/insights/summary?range=2h", status=422)["errors"][0]["field"] == "range"
    assert "Did you mean mine?" in ask(engine, "/insights/series?detector=mina", status=404)["detail"]
