"""What people look up of a service with a real engine: the latest results, a user's risk profile, counts over time."""

import asyncio
import json
import time
from collections import Counter

import pytest
from tests.service import patient

from penstock import Detector, Engine, Label, Rule
from penstock.config import Settings
from penstock.detectors.ecommerce import Purchase
from penstock.detectors.ecommerce.features import features, looked_up
from penstock.detectors.mobile_money import Movement
from penstock.detectors.mobile_money.features import features as of_accounts
from penstock.service import MicroBatcher, create_app
from penstock.service.records import profiles

NAMED_BY_USERS = {
    "txn_count",
    "device_ip_consistency",
    "device_source_consistency",
    "time_setup_to_txn_seconds",
    "time_since_last_device_txn",
    "purchase_deviation_from_device_mean",
    "device_lifespan",
}


def shop():
    """The shop's detector, deciding by rules alone."""
    return Detector(
        name="ecommerce",
        event=Purchase,
        id="transaction_id",
        time="purchase_time",
        label=Label("class", delay="7d"),
        features=[*features, *looked_up(None)],
        rules=[
            Rule("large", "purchase_value > 900", then="block", reason="{purchase_value} is large"),
            Rule("again", "txn_count > 2", then="review", reason="{txn_count} purchases on one device"),
        ],
        naive_times="UTC",
    )


def transfers():
    """The detector of mobile money, deciding by one rule."""
    return Detector(
        name="mobile_money",
        event=Movement,
        id="transaction_id",
        time="timestamp",
        label=Label("isFraud", delay="7d"),
        features=of_accounts,
        rules=[Rule("large", "amount > 900", then="block", reason="{amount} is large")],
        naive_times="UTC",
    )


def purchase(number, **more):
    fields = {
        "transaction_id": f"p{number}",
        "user_id": 7_000_000 + number % 3,
        "signup_time": "2026-01-01T00:00:00",
        "purchase_time": f"2026-02-06T10:{number:02}:00",
        "purchase_value": 40.0,
        "device_id": f"D{number % 2}",
        "source": "Ads",
        "browser": "Chrome",
        "sex": "F",
        "age": 33,
        "ip_address": 3.2e9,
    }
    return fields | more


@pytest.fixture
def url(tmp_path, serve_in_thread):
    settings = Settings()
    batchers = {"ecommerce": MicroBatcher.of(Engine(shop(), data=tmp_path), settings)}
    with serve_in_thread(create_app(batchers, settings)) as address:
        yield address


@pytest.fixture
def shopped(url):
    """Ten purchases, two of them large."""
    events = [purchase(number, purchase_value=1000.0 if number in {4, 9} else 40.0) for number in range(10)]
    answers = patient.post(url + "/predict", json=events).json()
    return url, events, answers


# ---------------------------------------------------------------- latest results


def test_results_are_flat_newest_first_and_hold_every_feature_by_its_name(shopped):
    url, _, answers = shopped
    found = patient.get(url + "/get").json()
    assert found == patient.get(url + "/results/recent").json()
    assert [one["transaction_id"] for one in found] == [f"p{n}" for n in reversed(range(10))]
    declared = {feature["name"] for feature in patient.get(url + "/detectors").json()["detectors"][0]["features"]}
    assert declared > NAMED_BY_USERS
    for one, answer in zip(found, reversed(answers), strict=True):
        assert one.keys() == {"transaction_id", "predicted_class", "fraud_probability"} | declared
        assert one["predicted_class"] == answer["predicted_class"]
        assert {name: one[name] for name in declared} == answer["features"]
        assert not any(isinstance(value, dict | list) for value in one.values())
    assert patient.get(url + "/results/recent?k=3").json() == found[:3]
    assert [patient.get(url + f"/get?k={k}").status_code for k in (0, 1001, "x")] == [422, 422, 422]


def test_results_of_several_detectors_say_whose_they_are(client_for, make_engine, run):
    engines = [make_engine(name="one"), make_engine(name="two")]
    for number in range(6):
        engine = engines[number % 2]
        told = {"transaction_id": f"t{number}", "detector": engine.name, "decided_at": f"2026-01-01T00:00:0{number}Z"}
        told |= {"features": {"count": number}, "predicted_class": 0, "fraud_probability": None}
        engine.recorded[f"t{number}"] = json.dumps(told).encode()

    async def scene():
        async with client_for(*engines) as client:
            return (await client.get("/get")).json(), (await client.get("/get?detector=two")).json()

    both, of_two = run(scene())
    assert [(one["detector"], one["count"]) for one in both] == [(("one", "two")[n % 2], n) for n in (5, 4, 3, 2, 1, 0)]
    assert [one["count"] for one in of_two] == [5, 3, 1]
    assert "detector" not in of_two[0]


# ---------------------------------------------------------------- what became of one


def test_a_status_holds_what_the_detector_has(tmp_path, serve_in_thread):
    settings = Settings()
    batchers = {"mobile_money": MicroBatcher.of(Engine(transfers(), data=tmp_path), settings)}
    moved = {"type": "TRANSFER", "amount": 950.5, "nameOrig": "C1", "nameDest": "C2", "timestamp": "2026-01-05T10:00:00Z"}
    with serve_in_thread(create_app(batchers, settings)) as url:
        transaction_id = patient.post(url + "/transactions", json=moved).json()["transaction_id"]
        found = patient.get(url + f"/transaction/{transaction_id}/status?wait_seconds=5").json()
        decided = patient.get(url + f"/transactions/{transaction_id}").json()
    assert found == {
        "status": "processed",
        "transaction_id": transaction_id,
        "detector": "mobile_money",
        "decision": "BLOCK",
        "fraud_probability": None,
        "fraud_score": None,
        "reasons": decided["explanation"]["reasons"],
        "amount": 950.5,
        "type": "TRANSFER",
        "origin": "C1",
        "destination": "C2",
        "processed_at": decided["decided_at"],
        "review": None,
    }


# ---------------------------------------------------------------- risk profiles


def test_a_risk_profile_says_what_is_known_about_the_first_entity(shopped):
    url, events, answers = shopped
    patient.post(url + "/labels", json={"transaction_id": "p4", "fraud": True, "source": "bank"})
    found = patient.get(url + "/users/D0/risk-profile").json()
    mine = [n for n, event in enumerate(events) if event["device_id"] == "D0"]
    said = Counter(answers[n]["decision"].lower() for n in mine)
    assert (found["entity"], found["key"], found["detector"]) == ("device", "D0", "ecommerce")
    assert found["features"]["txn_count"] == len(mine)
    assert {name: found["decisions"][name] for name in ("total", "approve", "challenge", "review", "block")} == {
        "total": len(mine),
        **{name: said[name] for name in ("approve", "challenge", "review", "block")},
    }
    assert (found["decisions"]["first_seen"], found["decisions"]["last_seen"]) == (
        "2026-02-06T10:00:00Z",
        "2026-02-06T10:08:00Z",
    )
    assert found["recent"] == [answers[n] for n in reversed(mine)]
    assert (found["labels"]["fraud"], found["labels"]["newest"][0]["transaction_id"]) == (1, "p4")
    assert found["counted"]["decisions"] == 10
    assert found["counted"]["complete"] is True


def test_a_user_is_meant_where_the_first_entity_is_something_else_and_any_entity_can_be_named(shopped):
    url = shopped[0]
    found = patient.get(url + "/users/7000001/risk-profile").json()
    assert (found["entity"], found["decisions"]["total"]) == ("user", 3)
    by_address = patient.get(url + "/users/3200000000/risk-profile?entity=ip").json()
    assert (by_address["entity"], by_address["decisions"]["total"]) == ("ip", 10)


@pytest.mark.parametrize(
    ("key", "query"),
    [("nobody", ""), ("7000009", ""), ("D0", "?entity=user"), ("D0", "?entity=nothing"), ("%00", ""), ("x" * 3000, "")],
)
def test_where_nothing_is_known_it_is_404(shopped, key, query):
    response = patient.get(f"{shopped[0]}/users/{key}/risk-profile{query}")
    assert response.status_code == 404
    assert response.json()["detail"]


def test_no_more_profiles_are_put_together_at_once_than_there_is_room_for(client_for, engine, run, monkeypatch):
    at_once, most = [], []

    def slowly(_entity, _key):
        at_once.append(1)
        most.append(len(at_once))
        time.sleep(0.03)
        at_once.pop()
        return {"decisions": {"total": 1}, "labels": {}, "recent": [], "counted": {}}

    engine.history.of_key = slowly

    async def scene():
        async with client_for(engine) as client:
            return await asyncio.gather(*(client.get("/users/C1/risk-profile") for _ in range(8)))

    assert {answer.status_code for answer in run(scene())} == {200}
    assert max(most) <= profiles.MOST_AT_ONCE


# ---------------------------------------------------------------- counts over time


def test_the_overview_is_the_statistics_with_series(shopped):
    url, _, answers = shopped
    found, stats = patient.get(url + "/stats/overview").json(), patient.get(url + "/stats").json()
    assert found.keys() == stats.keys() | {"series"}
    said = Counter(answer["decision"].lower() for answer in answers)
    for name, n in (("minutes", 60), ("hours", 24)):
        periods = found["series"][name]
        assert len(periods) == n
        assert [period["at"] for period in periods] == sorted(period["at"] for period in periods)
        for outcome in ("approve", "challenge", "review", "block"):
            assert sum(period[outcome] for period in periods) == said[outcome]
        assert sum(period["amount"] for period in periods) == pytest.approx(stats["amount"])
        assert sum(period["amount_blocked"] for period in periods) == pytest.approx(stats["amount_blocked"]) == 2000.0
    assert found["series"]["since"] == stats["since"]


def test_series_of_several_detectors_are_summed_by_their_instants():
    from penstock.service.records.decisions import over_time

    def series(first, *approved):
        return [{"at": f"2026-01-01T00:0{first + k}:00Z", "approve": n, "amount": 0.1} for k, n in enumerate(approved)]

    one = {"minutes": series(0, 1, 2), "hours": series(0, 1), "since": "2026-01-01T00:00:01Z"}
    two = {"minutes": series(1, 30, 40), "hours": series(0, 10), "since": "2026-01-01T00:00:00Z"}
    found = over_time([one, two])
    assert [(period["at"][14:16], period["approve"]) for period in found["minutes"]] == [("01", 32), ("02", 40)]
    assert found["minutes"][0]["amount"] == 0.2
    assert found["hours"][0]["approve"] == 11
    assert found["since"] == "2026-01-01T00:00:00Z"
