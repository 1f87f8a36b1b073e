"""Around a transaction: its keys, places and neighbours, what it is linked with, and whether it would be decided so again."""

import asyncio
import json
import threading
from collections import Counter
from datetime import datetime
from urllib.parse import quote

import httpx
import pytest
from tests.service.around import START, Transfer, detector, transfers

from penstock import Detector, Engine, Entity, Policy
from penstock.cases.case import EntityKey, NewCase, case_id
from penstock.cases.store import Cases
from penstock.config import Settings
from penstock.database import SqliteDatabase
from penstock.service import MicroBatcher, create_app
from penstock.service.app import ServiceParts
from penstock.service.investigate.keys import combinations
from penstock.service.records import verification
from penstock.testing import SetClock

US = 1_000_000


@pytest.fixture
def clock():
    return SetClock(START)


@pytest.fixture
def engine(clock, tmp_path):
    with Engine(detector, data=tmp_path, clock=clock) as opened:
        for transfer in transfers(clock):
            opened.decide(transfer)
        yield opened


@pytest.fixture
def ask(run, engine, tmp_path):
    """Asks a service over the engine; the answer."""

    def send(method, path, *, over=None, status=200, **options):
        async def scene():
            settings = Settings(data=tmp_path)
            app = create_app({detector.name: MicroBatcher.of(over or engine, settings)}, settings, ServiceParts(**options))
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                response = await client.request(method, path)
                assert response.status_code == status, response.text
                return response.json()

        return run(scene())

    return send


def recorded(engine):
    """Every decision, the oldest first: what was answered, with the event's fields."""
    found = []
    for record, row in engine.ledger.recent(detector.name):
        shown = json.loads(engine.queries.render(record, [row])[0])
        fields = {name: engine.queries.value(record, row, name) for name in detector.schema.columns}
        found.append((fields, shown, record.meta["decided_us"]))
    return found[::-1]


def keys(fields):
    """The keys of an event: by entity, as they are kept."""
    found = {("account", fields["sender"]), ("account", fields["receiver"])}
    found |= {("device", str(int(fields["device"])))} if fields["device"] is not None else set()
    return found | ({("card", fields["card"])} if fields["card"] is not None else set())


# ---------------------------------------------------------------- context


@pytest.mark.parametrize("number", [0, 57, 119])
def test_each_key_of_a_transaction_has_its_decisions_velocities_and_last_day(ask, engine, clock, number):
    found = recorded(engine)
    fields, shown, _ = found[number]
    engine.label(found[number][1]["transaction_id"], fraud=True)
    answer = ask("GET", f"/context/t/{number}")
    assert (answer["transaction_id"], answer["detector"]) == (f"t/{number}", "around")
    assert {(each["entity"], each["key"]) for each in answer["entities"]} == keys(fields)
    for each in answer["entities"]:
        about = [one for one in found if (each["entity"], each["key"]) in keys(one[0])]
        said = Counter(one[1]["decision"].lower() for one in about)
        assert {name: each["decisions"][name] for name in ("total", "approve", "review", "block")} == {
            "total": len(about),
            **{name: said[name] for name in ("approve", "review", "block")},
        }
        times = sorted(datetime.fromisoformat(one[1]["event_time"]) for one in about)
        assert datetime.fromisoformat(each["decisions"]["first_seen"]) == times[0]
        assert datetime.fromisoformat(each["decisions"]["last_seen"]) == times[-1]
        assert (each["fraud"], each["good"]) == (1, 0)
        assert each["features"] == engine.entity(each["entity"], each["key"])["features"]
        begin = round(datetime.fromisoformat(each["sparkline"]["from"]).timestamp() * US)
        hours = Counter((one[2] - begin) // (3600 * US) for one in about)
        stopped = Counter((one[2] - begin) // (3600 * US) for one in about if one[1]["decision"] != "APPROVE")
        assert each["sparkline"]["step"] == 3600
        assert each["sparkline"]["counts"] == [hours[hour] for hour in range(24)]
        assert each["sparkline"]["stopped"] == [stopped[hour] for hour in range(24)]
        assert begin <= clock() < begin + 24 * 3600 * US
        assert sum(each["sparkline"]["counts"]) == len(about), "all of it took place within a day"
    assert answer["counted"] == {"decisions": 120, "since": found[0][1]["decided_at"], "complete": True}
    assert shown["transaction_id"] == answer["transaction_id"]


def test_the_timeline_is_the_first_keys_transactions_around_this_one(ask, engine, monkeypatch):
    monkeypatch.setattr("penstock.service.investigate.context.AROUND", 3)
    found = recorded(engine)
    number = 60
    answer = ask("GET", f"/context/t/{number}")
    line, first = answer["timeline"], answer["entities"][0]
    assert (line["entity"], line["key"]) == (first["entity"], first["key"])
    about = [one for one in found if (line["entity"], line["key"]) in keys(one[0])]
    place = [one[1]["transaction_id"] for one in about].index(f"t/{number}")
    wanted = about[place - 3 : place + 4]
    assert [each["transaction_id"] for each in line["transactions"]] == [one[1]["transaction_id"] for one in wanted]
    assert [each["decision"] for each in line["transactions"]] == [one[1]["decision"] for one in wanted]
    assert [each["amount"] for each in line["transactions"]] == [one[0]["amount"] for one in wanted]
    assert [each["this"] for each in line["transactions"]] == [False] * 3 + [True] + [False] * 3
    assert (line["earlier"], line["later"]) == (place > 3, place + 4 < len(about))


def test_places_are_found_by_the_names_of_their_fields(ask, engine):
    found = recorded(engine)
    number = next(k for k, one in enumerate(found) if one[0]["lat"] is not None)
    assert ask("GET", f"/context/t/{number}")["places"] == [
        {"name": "transaction", "latitude": 52.5, "longitude": 13.4, "fields": ["lat", "long"]},
        {"name": "home", "latitude": 48.1, "longitude": 11.6, "fields": ["home_latitude", "home_longitude"]},
    ]
    without = next(k for k, one in enumerate(found) if one[0]["lat"] is None)
    assert [each["name"] for each in ask("GET", f"/context/t/{without}")["places"]] == ["home"]


def test_what_was_said_of_a_transaction_and_its_case_are_there(ask, engine, clock):
    engine.label("t/7", fraud=True, source="chargeback")
    engine.label("t/7", fraud=False, source="analyst")
    database = SqliteDatabase()
    cases = Cases(database, clock=clock)
    new = NewCase(
        detector="around", transaction_id="t/7", origin="review", propensity=1.0, decision="REVIEW", score=None, amount=5.0,
        expected_loss=1.0, reason=None, event_us=0,
    )  # fmt: skip
    cases.follow("log", 1, [new])
    answer = ask("GET", "/context/t/7", cases=cases)
    database.close()
    assert [(each["fraud"], each["source"]) for each in answer["labels"]["history"]] == [
        (True, "chargeback"),
        (False, "analyst"),
    ]
    assert answer["labels"]["counts"]["fraud"] is False
    assert answer["case"]["id"] == case_id("around", "t/7")
    other = ask("GET", "/context/t/8")
    assert (other["labels"], other["case"]) == ({"counts": None, "history": []}, None)
    assert "is_fraud" not in other["event"]
    assert datetime.fromisoformat(other["event"]["timestamp"]) == datetime.fromisoformat(other["event_time"])


def test_after_a_restart_the_log_tells_what_was_decided_before(ask, engine, clock, tmp_path):
    before = {path: ask("GET", path) for path in ("/context/t/57", "/entities/account/A3/ring")}
    engine.close()
    with Engine(detector, data=tmp_path, clock=clock) as again:
        again.decide({**next(iter(transfers(SetClock(START)))), "transaction_id": "new", "sender": "Z", "receiver": "Y"})
        for path, answer in before.items():
            told = ask("GET", path, over=again)
            told["counted"]["decisions"] -= 1
            for node in told.get("nodes", []) + told.get("entities", []):
                node.pop("features", None), node.pop("as_of", None)
            for node in answer.get("nodes", []) + answer.get("entities", []):
                node.pop("features", None), node.pop("as_of", None)
            if "ring" in path:
                assert told["nodes"][0]["id"] == "account:A3"
                continue
            assert told["timeline"] == answer["timeline"]
            first = {each["key"]: each["decisions"]["total"] for each in answer["entities"] if each["entity"] == "account"}
            assert {
                each["key"]: each["decisions"]["total"] for each in told["entities"] if each["entity"] == "account"
            } == first


def test_a_transaction_older_than_what_is_kept_is_shown_with_what_followed(ask, engine, monkeypatch):
    monkeypatch.setattr("penstock.engine.recent_decisions.MOST", 40)
    monkeypatch.setattr("penstock.engine.recent_decisions._TOGETHER", 10)
    engine.recent_decisions.window()
    for number, transfer in enumerate(transfers(SetClock(START), seed=1)):
        engine.decide({**transfer, "transaction_id": f"u{number}"})
    answer = ask("GET", "/context/t/3")
    assert not answer["counted"]["complete"]
    assert answer["counted"]["decisions"] < 60
    assert answer["timeline"]["transactions"][0]["this"]
    assert answer["timeline"]["earlier"]


# ---------------------------------------------------------------- rings


def ring_of(found, centre, over, max_degree=300, steps=6):
    """By hand: keys by distance, hubs by how many share them, and edges with counts, of all decisions."""
    member = centre[0]
    inside = [{key for key in keys(one[0]) if key[0] in {member, *over}} for one in found]

    def shared_by(key):
        return len({other for each in inside if key in each for other in each if other[0] == member} - {key})

    nodes, hubs, frontier = {centre: 0}, {}, {centre}
    for distance in range(1, steps + 1):
        level = set()
        for each in inside:
            for key in frontier & each:
                level |= each if key[0] == member else {other for other in each if other[0] == member}
        level -= set(nodes)
        nodes |= dict.fromkeys(level, distance)
        hubs |= {key: shared_by(key) for key in level if shared_by(key) > max_degree}
        frontier = level - set(hubs)
    followed = set(nodes) - set(hubs)
    edges = Counter()
    for each in inside:
        if each & followed:
            here = sorted(each & set(nodes))
            edges.update((a, b) for k, a in enumerate(here) for b in here[k + 1 :] if member in {a[0], b[0]})
    return nodes, hubs, edges


GRAVEST = ("known_fraud", "blocked", "reviewed", "legitimate", "undecided")


def outcome_of(one, labels):
    """What became of a recorded transaction: its label, else its decision."""
    if one[1]["transaction_id"] in labels:
        return "known_fraud" if labels[one[1]["transaction_id"]] else "legitimate"
    return {"BLOCK": "blocked", "REVIEW": "reviewed"}.get(one[1]["decision"], "undecided")


@pytest.mark.parametrize(
    ("centre", "over", "max_degree"),
    [
        (("account", "A3"), ["card", "device"], 300),
        (("account", "A3"), ["device"], 9),
        (("device", "40"), ["account", "card"], 3),
        (("device", "2"), ["account"], 300),
    ],
)
def test_a_ring_holds_what_is_linked_with_outcomes_and_hubs_that_are_not_followed(ask, engine, centre, over, max_degree):
    found = recorded(engine)
    labels = {one[1]["transaction_id"]: one[0]["amount"] > 900 for one in found[:20]}
    for each, fraud in labels.items():
        engine.label(each, fraud=fraud)
    query = "".join(f"&over={each}" for each in over)
    ring = ask("GET", f"/entities/{centre[0]}/{centre[1]}/ring?limit=300&max_degree={max_degree}{query}")
    nodes, hubs, edges = ring_of(found, centre, over, max_degree)
    assert {(node["entity"], node["key"]): node["distance"] for node in ring["nodes"]} == nodes
    assert {(node["entity"], node["key"]): node["shared_by"] for node in ring["nodes"] if node["hub"]} == hubs
    assert ring["nodes"][0]["id"] == ":".join(centre)
    assert [node["distance"] for node in ring["nodes"]] == sorted(nodes.values())
    assert not ring["truncated"]
    assert (ring["since"] < found[0][1]["event_time"], ring["over"]) == (True, over)
    by_id = {node["id"]: (node["entity"], node["key"]) for node in ring["nodes"]}
    told = {tuple(sorted((by_id[edge["source"]], by_id[edge["target"]]))): edge["transactions"] for edge in ring["edges"]}
    assert told == dict(edges)
    followed = set(nodes) - set(hubs)
    inside = [one for one in found if keys(one[0]) & followed]
    for node in ring["nodes"]:
        about = [one for one in inside if (node["entity"], node["key"]) in keys(one[0])]
        became = Counter(outcome_of(one, labels) for one in about)
        said = Counter(one[1]["decision"].lower() for one in about)
        assert node["transactions"] == len(about)
        assert node["outcomes"] == {name: said[name] for name in ("approve", "challenge", "review", "block")}
        assert (node["fraud"], node["good"]) == (became["known_fraud"], became["legitimate"])
        assert node["outcome"] == next(name for name in GRAVEST if became[name])
        assert node["lists"] == (["watched"] if node["key"] in {"A3", "A7"} else [])
        assert node["member"] == (node["entity"] == centre[0])
        assert (node["note"] is None) == ((node["entity"], node["key"]) not in hubs)
    for edge in ring["edges"]:
        pair = {by_id[edge["source"]], by_id[edge["target"]]}
        became = {outcome_of(one, labels) for one in inside if pair <= keys(one[0])}
        assert edge["outcome"] == next(name for name in GRAVEST if name in became)


def test_a_ring_without_room_says_so_and_keeps_what_is_nearest_and_worst(ask, engine):
    found = recorded(engine)
    mine = [one for one in found if ("account", "A3") in keys(one[0])]
    engine.label(mine[0][1]["transaction_id"], fraud=True)
    ring = ask("GET", "/entities/account/A3/ring?limit=3")
    assert ring["truncated"]
    assert [node["distance"] for node in ring["nodes"]] == [0, 1, 1]
    assert all(node["outcome"] == "known_fraud" for node in ring["nodes"])


def test_a_ring_reaches_back_a_window_from_the_newest_transaction_of_its_key(ask, engine):
    found = recorded(engine)
    mine = [one for one in found if ("account", "A3") in keys(one[0])]
    newest = max(datetime.fromisoformat(one[1]["event_time"]) for one in mine)
    within = [one for one in found if (newest - datetime.fromisoformat(one[1]["event_time"])).total_seconds() <= 1800]
    ring = ask("GET", "/entities/account/A3/ring?limit=300&max_degree=300&window=30m")
    nodes, _, _ = ring_of(within, ("account", "A3"), ["card", "device"])
    assert {(node["entity"], node["key"]): node["distance"] for node in ring["nodes"]} == nodes
    assert len(within) < len(found)


def test_what_is_far_or_has_many_transactions_is_cut_and_said_to_be(ask, engine, monkeypatch):
    monkeypatch.setattr("penstock.engine.keys.ring.STEPS", 1)
    ring = ask("GET", "/entities/account/A3/ring?limit=300&max_degree=300")
    assert {node["distance"] for node in ring["nodes"]} == {0, 1}
    monkeypatch.undo()
    assert ring["truncated"] is (
        len(ask("GET", "/entities/account/A3/ring?limit=300&max_degree=300")["nodes"]) > len(ring["nodes"])
    )
    monkeypatch.setattr("penstock.engine.keys.ring.MOST_ROWS", 10)
    ring = ask("GET", "/entities/account/A3/ring?limit=300&max_degree=300")
    assert ring["truncated"]
    assert sum(node["transactions"] for node in ring["nodes"] if node["entity"] == "card") <= 10


def test_a_ring_names_the_undecided_cases_of_its_members(ask, engine, clock):
    ring = ask("GET", "/entities/account/A3/ring?limit=300&max_degree=300")
    members = [node["key"] for node in ring["nodes"] if node["member"]]
    database = SqliteDatabase()
    cases = Cases(database, clock=clock)
    new = [
        NewCase(
            detector="around", transaction_id=f"t/{n}", origin="review", propensity=1.0, decision="REVIEW", score=None,
            amount=5.0, expected_loss=1.0, reason=None, event_us=0, keys=(EntityKey("account", key),),
        )
        for n, key in enumerate([*members[:3], "nobody"])
    ]  # fmt: skip
    cases.follow("log", 1, new)
    cases.decide(case_id("around", "t/0"), "ann", "fraud")
    ring = ask("GET", "/entities/account/A3/ring?limit=300&max_degree=300", cases=cases)
    database.close()
    assert sorted(ring["undecided_cases"]) == sorted(case_id("around", f"t/{n}") for n in (1, 2))


def test_the_ring_of_a_key_without_recent_decisions_is_empty(ask):
    ring = ask("GET", "/entities/account/Nobody/ring")
    assert (ring["detector"], ring["key"], ring["since"]) == ("around", "Nobody", None)
    assert (ring["nodes"], ring["edges"], ring["undecided_cases"], ring["truncated"]) == ([], [], [], False)
    assert ring["counted"]["decisions"] > 0


def test_options_of_a_ring_that_are_not_understood_are_refused(ask):
    assert "write a number and unit" in ask("GET", "/entities/account/A3/ring?window=soon", status=422)["detail"]
    assert "Did you mean card" in ask("GET", "/entities/account/A3/ring?over=cart", status=422)["detail"]


def test_what_nobody_knows_is_404_with_a_hint(ask):
    assert "account" in ask("GET", "/entities/acount/A3/ring", status=404)["detail"]
    assert "cannot be a key of device" in ask("GET", "/entities/device/no-number/ring", status=404)["detail"]
    for method, path in (("GET", "/context/t/none"), ("POST", "/verify/t/none")):
        assert "there is no transaction" in ask(method, path, status=404)["detail"]


# ---------------------------------------------------------------- verify


def test_a_decision_is_computed_again_and_is_identical(ask, engine):
    answer = ask("POST", "/verify/t/60")
    assert (answer["identical"], answer["differences"], answer["reason"], answer["erased"]) == (True, [], None, None)
    assert (answer["events"], answer["way"]) == (60, "log")


def test_with_an_index_of_keys_any_number_of_events_may_come_before_a_decision(ask, engine, monkeypatch):
    monkeypatch.setattr(verification, "MOST_BEFORE", 10)
    engine.index_keys()
    answer = ask("POST", "/verify/t/60")
    assert (answer["identical"], answer["way"]) == (True, "keys")
    assert 0 < answer["events"] < 60


def test_a_decision_that_was_tampered_with_differs_and_says_where(ask, engine, monkeypatch):
    record, row = engine.ledger.find("around", "t/60")
    record.columns["x"] = record.columns["x"].copy()
    names = engine.queries.names_in(record)
    record.columns["x"][row, names.index("account_count_1h")] += 1
    find = engine.ledger.find
    monkeypatch.setattr(engine.ledger, "find", lambda *asked: (record, row) if asked[1] == "t/60" else find(*asked))
    answer = ask("POST", "/verify/t/60")
    assert answer["identical"] is False
    [difference] = answer["differences"]
    assert difference["column"] == "account_count_1h"
    assert difference["recorded"] == difference["recomputed"] + 1


@pytest.mark.parametrize(("limit", "value"), [("MOST_BEFORE", 10), ("LONGEST_S", -1.0)])
def test_what_cannot_be_computed_again_here_says_why(ask, engine, monkeypatch, limit, value):
    monkeypatch.setattr(verification, limit, value)
    answer = ask("POST", f"/verify/{quote('t/60')}")
    assert answer["identical"] is None
    assert "penstock verify" in answer["reason"]


def test_verifications_take_turns_and_too_many_are_refused(run, engine, tmp_path, monkeypatch):
    monkeypatch.setattr(verification, "MOST_WAITING", 2)
    verify, turn = verification.verify, threading.Event()

    def held(*given, **more):
        turn.wait(60)
        return verify(*given, **more)

    monkeypatch.setattr(verification, "verify", held)

    async def scene():
        settings = Settings(data=tmp_path)
        app = create_app({detector.name: MicroBatcher.of(engine, settings)}, settings)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client:
            asked = [asyncio.create_task(client.post(f"/verify/t/{k}")) for k in range(4)]
            while sum(each.done() for each in asked) < 2:  # two are refused while the first is made
                await asyncio.sleep(0.01)
            turn.set()
            return sorted(answer.status_code for answer in await asyncio.gather(*asked))

    assert run(scene()) == [200, 200, 429, 429]


def test_a_key_that_only_combines_another_with_something_is_no_link_of_its_own(ask, clock, tmp_path):
    together, place = Entity("device", "card"), Entity("lat", "long")
    changed = Detector(
        name=detector.name,
        event=Transfer,
        id="transaction_id",
        time="timestamp",
        features=[Entity("device").count("1h"), together.count("1h"), place.count("1h")],
        models=[],
        rules=[],
        policy=Policy(on_failure="review"),
    )
    with Engine(changed, data=tmp_path / "changed", clock=clock) as engine:
        assert combinations(engine) == {"device_card"}
        for transfer in transfers(clock):
            engine.decide(transfer)
        nodes = ask("GET", "/entities/device/1/ring", over=engine)["nodes"]
        assert {node["entity"] for node in nodes} == {"device", "lat_long"}
        asked = ask("GET", "/entities/device_card/1|4111 1111/ring", over=engine)["nodes"]
        assert asked[0]["entity"] == "device_card"
