"""Rules and lists over HTTP: everything that the command line can, in force when the answer is there."""

import json
import threading
import time
from datetime import datetime, timedelta

import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.service import patient
from tests.service.mine import __file__ as MINE
from tests.service.test_bad_input import CHECKS, QUIET
from tests.waiting import wait_until

from penstock import Engine
from penstock.audit import AuditLog
from penstock.config import Settings
from penstock.database import open_office
from penstock.engine.verification import verify
from penstock.governance.administration import newer_rules
from penstock.governance.rules import RuleStore
from penstock.identity.keys import Keys
from penstock.rules import RuleSet
from penstock.service import MicroBatcher, create_app
from penstock.service.access.authorize import Access
from penstock.service.app import ServiceParts
from penstock.wiring.engines import recorded_decisions
from penstock.wiring.governance import list_at, rule_administration

NOW = "2026-01-05T10:00:00Z"


@pytest.fixture
def serve(mine, tmp_path, serve_in_thread):
    """Serves a detector with its books: `with serve(four_eyes=True) as client`."""
    opened = []

    def start(detector=mine, **settings):
        chosen = Settings(data=tmp_path, **settings)
        office = open_office(tmp_path)
        database = office.__enter__()
        engine = Engine(detector, data=tmp_path)
        app = create_app(
            {detector.name: MicroBatcher.of(engine, chosen)},
            chosen,
            ServiceParts(
                rules=newer_rules(database, [detector]),
                administrations={detector.name: rule_administration(database, detector, chosen)},
                access=Access(database, chosen, exposed=False),
            ),
        )
        served = serve_in_thread(app)
        client = patient.Client(base_url=served.__enter__())
        opened.extend([client.close, lambda: served.__exit__(None, None, None), lambda: office.__exit__(None, None, None)])
        return client

    yield start
    for close in opened:
        close()


@pytest.fixture
def client(serve):
    return serve()


RULES = "/detectors/mine/rules"
LISTS = "/detectors/mine/lists"
APPROVALS = "/detectors/mine/approvals"


def done(response, status=200):
    assert response.status_code == status, response.text
    return response.json()


def pay(client, number, amount=50.0, customer=None, **more):
    payment = {"transaction_id": f"t{number}", "timestamp": NOW, "customer_id": customer or f"c{number}", "amount": amount}
    return done(client.post("/predict", json=payment | more))


def test_a_rule_goes_from_draft_to_active_and_back_and_each_answer_is_in_force(client):
    made = done(client.post(RULES, json={"name": "large", "when": "amount > 900", "then": "block", "note": "Monday"}), 201)
    assert (made["rule"]["state"], made["version"]["version"], made["version"]["note"]) == ("draft", 1, "Monday")
    assert pay(client, 1, 1000.0)["decision"] == "APPROVE"
    done(client.post(f"{RULES}/large/shadow", json={"version": 1}))
    assert pay(client, 2, 1000.0)["decision"] == "APPROVE"
    rolled = done(client.post(f"{RULES}/large/rollout", json={"version": 1, "percent": 100, "of": "customer_id"}))
    assert rolled["rule"]["candidate"]["rollout"] == {"percent": 100.0, "of": "customer_id"}
    assert pay(client, 3, 1000.0)["decision"] == "BLOCK"
    promoted = done(client.post(f"{RULES}/large/promote"))
    assert (promoted["rule"]["state"], promoted["rule"]["active"]["version"]) == ("active", 1)
    assert pay(client, 4, 1000.0)["decision"] == "BLOCK"
    done(client.post(f"{RULES}/large/pause", json={"note": "too many"}))
    assert pay(client, 5, 1000.0)["decision"] == "APPROVE"
    done(client.post(f"{RULES}/large/promote", json={"version": 1}))
    done(client.post(f"{RULES}/large/archive"))
    assert pay(client, 6, 1000.0)["decision"] == "APPROVE"


def test_a_change_is_compiled_once_by_whoever_checks_it_shows_it_and_decides_by_it(client, monkeypatch):
    made, compiles = [], RuleSet.__init__

    def counted(self, rules, *given):
        made.append([rule.name for rule in rules])
        compiles(self, rules, *given)

    monkeypatch.setattr(RuleSet, "__init__", counted)
    done(client.post(RULES, json={"name": "large", "when": "amount > 500", "then": "review"}), 201)
    done(client.post(f"{RULES}/large/promote", json={"version": 1}))
    assert pay(client, 1, 501.0)["decision"] == "REVIEW"
    assert sum("large" in rules for rules in made) == 1


def test_the_list_says_what_each_rule_does_since_when_by_whom_and_how_often_it_fired(client):
    for number in range(4):
        pay(client, number, customer="c1")
    done(client.post(RULES, json={"name": "larger", "when": "amount > 90", "then": "review"}), 201)
    found = wait_until(lambda: (listed := done(client.get(RULES)))["fires_at"] and listed)
    rules = {rule["name"]: rule for rule in found["rules"]}
    assert list(rules) == ["fourth_in_an_hour", "amount_spike", "larger"]
    fourth = rules["fourth_in_an_hour"]
    assert (fourth["state"], fourth["author"], fourth["changed_by"]) == ("active", "file", "file")
    assert fourth["fires"]["count"] == 1
    assert fourth["fires"]["last_at"].startswith("2026-01-05T10:00:00")
    assert found["in_force"] == pay(client, 10)["versions"]["rules"]


def test_every_version_is_kept_with_what_it_changed(client):
    done(client.post(RULES, json={"name": "large", "when": "amount > 900"}), 201)
    done(client.post(RULES, json={"name": "large", "when": "amount > 800", "note": "lower"}), 201)
    history = done(client.get(f"{RULES}/large"))
    assert [version["version"] for version in history["versions"]] == [2, 1]
    assert history["versions"][0]["changed"] == {"when": ["amount > 900", "amount > 800"]}
    assert done(client.get(f"{RULES}/large/diff", params={"before": 2, "after": 1}))["changed"] == {
        "when": ["amount > 800", "amount > 900"]
    }
    assert client.get(f"{RULES}/large/diff", params={"before": 1, "after": 7}).status_code == 404


@pytest.mark.parametrize(
    ("when", "kind"),
    [
        ("amount > 5 AND amount < 3", "never_true"),
        ("amount >= 0 OR amount < 0", "always_true"),
        ("amount_ratio > 10", "same_as"),
        ("amount_ratio > 20", "never_reached"),
    ],
)
def test_a_condition_is_looked_at_without_being_saved(client, when, kind):
    tested = done(client.post(f"{RULES}/test", json={"when": when}))
    assert [finding["kind"] for finding in tested["warnings"]] == [kind]
    assert len(done(client.get(RULES))["rules"]) == 2


def test_a_condition_that_cannot_work_is_refused_with_the_remedy(client):
    for body in ({"when": "amuont > 1"}, {"when": "amount > 'x'"}, {"when": "customer_id IN list('stolen')"}):
        refused = client.post(f"{RULES}/test", json=body)
        assert refused.status_code == 422, refused.text
        assert client.post(RULES, json=body | {"name": "wrong"}).status_code == 422
    assert "Did you mean amount" in client.post(f"{RULES}/test", json={"when": "amuont > 1"}).json()["detail"]


def test_a_condition_is_tried_on_an_event_that_has_not_happened_and_on_one_that_has(client):
    pay(client, 1, customer="c1")
    event = {"transaction_id": "new", "timestamp": NOW, "customer_id": "c1", "amount": 70.0}
    asked = {"when": "customer_count_1h = 2 AND amount > 60", "reason": "{amount:.0f} at once", "event": event}
    seen = done(client.post(f"{RULES}/test", json=asked))["event"]
    assert (seen["fired"], seen["decision"], seen["sentence"]) == (True, "APPROVE", "70 at once")
    assert seen["values"] == {"customer_count_1h": 2, "amount": 70}
    assert pay(client, 2, customer="c1")["features"]["customer_count_1h"] == 2
    seen = done(client.post(f"{RULES}/test", json={"when": "customer_count_1h = 1", "transaction_id": "t1"}))["event"]
    assert (seen["fired"], seen["values"]) == (True, {"customer_count_1h": 1})
    unknown = done(client.post(f"{RULES}/test", json={"when": "amount_ratio > 3", "transaction_id": "t1"}))["event"]
    assert unknown["fired"] is None
    assert client.post(f"{RULES}/test", json={"when": "amount > 1", "transaction_id": "t9"}).status_code == 404
    assert client.post(f"{RULES}/test", json={"when": "amount > 1", "event": {"amount": 3}}).status_code == 422


def test_steps_that_make_no_sense_say_why(client):
    assert client.post(f"{RULES}/lage/promote").status_code == 404
    assert client.post(f"{RULES}/amount_spike/shadow", json={"version": 1}).status_code == 409
    assert client.post(f"{RULES}/amount_spike/rollback").status_code == 409
    assert client.post(f"{RULES}/amount_spike/rollout", json={"version": 1, "percent": 0, "of": "x"}).status_code == 422
    done(client.post(RULES, json={"name": "large", "when": "amount > 900"}), 201)
    refused = client.post(f"{RULES}/large/rollout", json={"version": 1, "percent": 5, "of": "costumer_id"})
    assert refused.status_code == 422
    assert "Did you mean customer_id" in refused.json()["detail"]
    assert client.get("/detectors/yours/rules").status_code == 404


def test_rules_travel_as_lines(client):
    exported = client.get(f"{RULES}/export").text
    assert [json.loads(line)["name"] for line in exported.splitlines()] == ["fourth_in_an_hour", "amount_spike"]
    assert done(client.post(f"{RULES}/import", content=exported))["added"] == []
    other = exported.replace("amount_ratio > 10", "amount_ratio > 7")
    [added] = done(client.post(f"{RULES}/import", content=other))["added"]
    assert (added["rule"], added["version"], added["state"]) == ("amount_spike", 2, "draft")
    assert client.post(f"{RULES}/import", content="not a rule").status_code == 422


def test_whatever_is_sent_is_answered_as_the_document_promises(client):
    """Every route of rules, lists and approvals, with bodies good and bad, for things that exist and that do not."""
    done(client.post(LISTS, json={"name": "stolen"}), 201)
    schema = schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")
    known = {"name": "mine", "rule": "amount_spike", "list_name": "stolen"}
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if not operation.path.startswith(("/detectors/{name}/rules", "/detectors/{name}/lists", "/detectors/{name}/approvals")):
            continue

        @settings(max_examples=5, deadline=None, suppress_health_check=QUIET, database=None)
        @given(
            case=st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode)),
            exists=st.booleans(),
        )
        def send(case, exists):
            case.path_parameters = {
                name: known.get(name, "x") if exists or name == "name" else value
                for name, value in (case.path_parameters or {}).items()
            }
            case.call_and_validate(checks=list(CHECKS), timeout=patient.PATIENCE_S)

        send()
        tried += 1
    assert tried >= 22


def test_a_change_by_post_is_in_force_within_a_second_under_load_and_no_request_fails(client):
    seen, ending = [], threading.Event()  # when it was asked, and the answer

    def load(first):
        with patient.Client(base_url=client.base_url) as own:
            number = first
            while not ending.is_set():
                began = time.monotonic()
                seen.append((began, pay(own, number)))
                number += 1

    threads = [threading.Thread(target=load, args=(first,)) for first in (0, 1_000_000)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(seen) > 50)
        done(client.post(RULES, json={"name": "any", "when": "amount > 1", "then": "block"}), 201)
        done(client.post(f"{RULES}/any/promote", json={"version": 1}))
        changed = time.monotonic()
        wait_until(lambda: sum(at > changed for at, _ in tuple(seen)) > 50)
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    after = [decision for at, decision in seen if at > changed]
    assert {decision["decision"] for decision in after} == {"BLOCK"}
    assert len({(decision["versions"]["rules"], decision["decision"]) for _, decision in seen}) == 2


def test_lists_are_kept_looked_up_and_asked_by_rules_at_once(client):
    made = done(client.post(LISTS, json={"name": "stolen", "about": "reported by phone"}), 201)
    assert (made["list"]["in_force"], made["list"]["kind"], made["list"]["asked_by"]) == (0, "block", [])
    rule = {"name": "stolen_card", "when": "customer_id IN list('stolen')", "then": "block", "hard": True}
    done(client.post(RULES, json=rule), 201)
    done(client.post(f"{RULES}/stolen_card/promote", json={"version": 1}))
    assert pay(client, 1, customer="bad")["decision"] == "APPROVE"
    added = done(client.post(f"{LISTS}/stolen/entries", json={"value": " bad ", "reason": "case 7"}))
    assert (added["added"], added["list"]["in_force"], added["list"]["asked_by"]) == (1, 1, ["stolen_card"])
    blocked = pay(client, 2, customer="bad")
    assert blocked["decision"] == "BLOCK"
    assert blocked["versions"]["lists"].startswith("stolen 2-")
    found = done(client.get(f"{LISTS}/lookup", params={"value": "bad"}))
    assert [(each["name"], each["in_force"]) for each in found["lists"]] == [("stolen", True)]
    assert found["lists"][0]["entries"][0]["reason"] == "case 7"
    removed = done(client.post(f"{LISTS}/stolen/remove", json={"values": ["bad", "good"]}))
    assert (removed["removed"], removed["unchanged"]) == (1, 1)
    assert pay(client, 3, customer="bad")["decision"] == "APPROVE"
    assert client.post(f"{LISTS}/stolen/archive").status_code == 409
    assert [each["state"] for each in done(client.get(f"{LISTS}/stolen/entries?state=all"))["entries"]] == ["removed"]


def test_a_rule_is_snoozed_for_one_customer_and_its_decisions_say_so_and_stay_verifiable(client, mine, tmp_path):
    done(client.post(RULES, json={"name": "large", "when": "amount > 900", "then": "block"}), 201)
    done(client.post(f"{RULES}/large/promote", json={"version": 1}))
    assert pay(client, 1, 1000.0, "ann")["decision"] == "BLOCK"
    snooze = {"entity": "customer", "key": "ann", "lasts": "7d", "reason": "buys a car"}
    made = done(client.post(f"{RULES}/large/snoozes", json=snooze), 201)
    assert (made["rule"], made["by"], made["reason"]) == ("large", "local", "buys a car")
    lasts = datetime.fromisoformat(made["until"]) - datetime.fromisoformat(made["since"])
    assert abs(lasts - timedelta(days=7)) < timedelta(minutes=5)
    let_through, other, small = pay(client, 2, 1000.0, "ann"), pay(client, 3, 1000.0, "bob"), pay(client, 4, 5.0, "ann")
    assert [each["decision"] for each in (let_through, other, small)] == ["APPROVE", "BLOCK", "APPROVE"]
    assert client.get("/transactions/t2").json()["versions"] == let_through["versions"]
    assert done(client.get(f"{RULES}/large/snoozes"))["snoozes"] == [made]
    ended = done(client.post(f"{RULES}/large/snoozes/end", json={"entity": "customer", "key": "ann"}))
    assert ended["snoozes"] == []
    assert pay(client, 5, 1000.0, "ann")["decision"] == "BLOCK"
    told = {n: done(client.get(f"/context/t{n}"))["snoozed"] for n in range(1, 6)}
    assert told == {1: [], 2: [made], 3: [], 4: [], 5: []}
    with open_office(tmp_path) as office:
        entries = AuditLog(office).entries(limit=3)
    assert [(each.action, each.subject) for each in entries] == [
        ("list.remove", "mine/lists/snoozed:large:customer"),
        ("list.add", "mine/lists/snoozed:large:customer"),
        ("list.create", "mine/lists/snoozed:large:customer"),
    ]
    settings = Settings(data=tmp_path)
    with recorded_decisions(settings, "t1", MINE) as (loaded, ledger):
        at = list_at(loaded, settings)
        again = [verify(ledger, loaded, f"t{number}", None, list_at=at) for number in range(1, 6)]
    assert [each.differences for each in again] == [()] * 5


def test_a_snooze_that_cannot_be_is_refused(client):
    done(client.post(RULES, json={"name": "large", "when": "amount > 900", "then": "block"}), 201)
    snooze = {"entity": "customer", "key": "ann"}
    for wrong, word in (
        ({"lasts": "91d"}, "at most 90d"),
        ({"lasts": "0d"}, "at most 90d"),
        ({"lasts": "ever"}, "at most 90d"),
        ({"lasts": "soon"}, "soon"),
        ({"entity": "merchant"}, "customer"),
        ({"key": "  "}, "1 to 500"),
    ):
        refused = client.post(f"{RULES}/large/snoozes", json=snooze | wrong)
        assert refused.status_code == 422, wrong
        assert word in refused.text
    assert client.post(f"{RULES}/none/snoozes", json=snooze).status_code == 404
    assert client.post(f"{RULES}/large/snoozes/end", json=snooze).status_code == 404
    done(client.post(f"{RULES}/large/snoozes", json=snooze), 201)
    by_hand = client.post(f"{LISTS}/snoozed:large:customer/entries", json={"value": "bob"})
    assert (by_hand.status_code, "snooze the rule" in by_hand.text) == (422, True)


def test_only_who_may_approve_snoozes_a_hard_block(let_in):
    author, approver, analyst = let_in({"ann": ["rule_author"], "bob": ["approver"], "eve": ["analyst"]})
    done(author.post(RULES, json={"name": "stolen", "when": "amount > 900", "then": "block", "hard": True}), 201)
    done(author.post(RULES, json={"name": "large", "when": "amount > 900", "then": "review"}), 201)
    snooze = {"entity": "customer", "key": "ann"}
    assert analyst.post(f"{RULES}/large/snoozes", json=snooze).status_code == 403
    done(author.post(f"{RULES}/large/snoozes", json=snooze), 201)
    refused = done(author.post(f"{RULES}/stolen/snoozes", json=snooze), 403)
    assert "is a hard block" in refused["detail"]
    done(approver.post(f"{RULES}/stolen/snoozes", json=snooze), 201)
    done(approver.post(f"{RULES}/stolen/promote", json={"version": 1}))
    assert len(done(analyst.get(f"{RULES}/stolen/snoozes"))["snoozes"]) == 1


def test_lists_travel_as_csv(client):
    done(client.post(LISTS, json={"name": "stolen"}), 201)
    lines = "value,reason,expires_at\nD1,phone,2099-01-01T00:00:00Z\nD2,,\nD3,long ago,2001-01-01\n"
    headers = {"content-type": "text/csv"}
    assert done(client.post(f"{LISTS}/stolen/entries", content=lines, headers=headers))["added"] == 2
    exported = client.get(f"{LISTS}/stolen/export")
    assert exported.headers["content-type"].startswith("text/csv")
    assert exported.text.splitlines()[1].startswith("D1,phone,local,")
    wrong = client.post(f"{LISTS}/stolen/entries", content="device\nD1\n", headers=headers)
    assert wrong.status_code == 422
    assert "value, reason" in wrong.json()["detail"]
    page = done(client.get(f"{LISTS}/stolen/entries", params={"limit": 1}))
    following = done(client.get(f"{LISTS}/stolen/entries", params={"limit": 1, "before": page["next"]}))
    assert [each["value"] for each in (*page["entries"], *following["entries"])] == ["D1", "D2"]
    assert following["next"] is None


def test_a_backtest_knows_rules_and_lists_that_people_have_changed(client):
    for number in range(3):
        pay(client, number, 100.0 * (number + 1), customer=f"c{number}")
    done(client.post(LISTS, json={"name": "watched", "kind": "watch"}), 201)
    done(client.post(f"{LISTS}/watched/entries", json={"entries": [{"value": "c1"}, {"value": "c2"}]}))
    done(client.post(RULES, json={"name": "large", "when": "amount > 250", "then": "block"}), 201)
    done(client.post(f"{RULES}/large/promote", json={"version": 1}))
    pay(client, 7, 300.0, customer="c1")
    tried = done(client.post("/detectors/mine/backtest", json={"when": "customer_id IN list('watched')"}))
    assert (tried["matched"], tried["caught_by"]) == (3, [{"rule": "large", "count": 1}])
    assert any("as they are now" in note for note in tried["notes"])


BOTH = ["rule_author", "approver"]


@pytest.fixture
def let_in(serve, tmp_path):
    """Serves with keys of these roles, and makes their clients: `let_in({"ann": ["viewer"]}, four_eyes=True)`."""
    clients = []

    def start(roles, **settings):
        client = serve(**settings)
        with open_office(tmp_path) as office:
            secrets = [Keys(office).add(name, given, who="local")[0] for name, given in roles.items()]
        wait_until(lambda: client.get(RULES).status_code == 401)  # before that, everybody is let in
        found = [patient.Client(base_url=client.base_url, headers={"x-api-key": secret}) for secret in secrets]
        clients.extend(found)
        wait_until(lambda: all(each.get(RULES).status_code == 200 for each in found))
        return found

    yield start
    for each in clients:
        each.close()


@pytest.fixture
def people(let_in):
    """A service that wants four eyes, and clients of two who may both write rules and let them decide."""
    return let_in({"ann": BOTH, "bob": BOTH}, four_eyes=True)


@pytest.mark.parametrize("version", [1, 2], ids=["the version itself", "another version"])
def test_an_author_cannot_end_by_shadow_what_an_approver_rolled_out(let_in, version):
    author, approver = let_in({"ann": ["rule_author"], "bob": ["approver"]})
    for least in (1, 2):
        done(author.post(RULES, json={"name": "any", "when": f"amount > {least}", "then": "block"}), 201)
    done(author.post(f"{RULES}/any/shadow", json={"version": version}))
    done(approver.post(f"{RULES}/any/rollout", json={"version": 1, "percent": 100, "of": "customer_id"}))
    refused = done(author.post(f"{RULES}/any/shadow", json={"version": version}), 403)
    assert "version 1 of 'any' is rolled out to 100 per cent" in refused["detail"]
    assert done(author.get(f"{RULES}/any"))["rule"]["candidate"]["state"] == "rollout"
    assert done(approver.post(f"{RULES}/any/shadow", json={"version": version}))["rule"]["candidate"]["version"] == version
    done(author.post(f"{RULES}/any/shadow", json={"version": version}))


def test_guards_of_a_rollout_that_waits_do_not_replace_those_of_the_one_that_acts(people, tmp_path):
    ann, bob = people
    done(ann.post(RULES, json={"name": "any", "when": "amount > 1", "then": "block"}), 201)
    share = {"version": 1, "percent": 10, "of": "customer_id"}
    strict, none = [{"figure": "block_rate", "more": 0.02}], []
    done(bob.post(f"{RULES}/any/rollout", json=share | {"guards": strict}))
    request = done(ann.post(f"{RULES}/any/rollout", json=share | {"percent": 90, "guards": none}), 202)["request"]
    with open_office(tmp_path) as office:
        kept = RuleStore(office, "mine", lambda *_: None)
        assert [(guard["figure"], guard["more"]) for guard in kept.guards("any", 1)] == [("block_rate", 0.02)]
        done(bob.post(f"{APPROVALS}/{request['id']}/approve"))
        assert kept.guards("any", 1) == none


def test_with_four_eyes_what_the_author_asks_for_waits_for_another(people):
    ann, bob = people
    made = done(ann.post(RULES, json={"name": "any", "when": "amount > 1", "then": "block"}), 201)
    assert made["version"]["author"] == "key:ann"
    asked = {"version": 1, "percent": 100, "of": "customer_id", "note": "please"}
    waiting = done(ann.post(f"{RULES}/any/rollout", json=asked), 202)
    request = waiting["request"]
    assert (request["action"], request["stage"], request["note"]) == ("rollout", "pending", "please")
    assert waiting["rule"]["state"] == "draft"
    assert waiting["rule"]["pending"] == [request["id"]]
    assert done(ann.post(f"{RULES}/any/rollout", json=asked), 202)["request"]["id"] == request["id"]
    own = ann.post(f"{APPROVALS}/{request['id']}/approve")
    assert own.status_code == 409
    assert "another person" in own.json()["detail"]
    approved = done(bob.post(f"{APPROVALS}/{request['id']}/approve", json={"note": "seen"}))
    assert (approved["stage"], approved["settled_by"], approved["settled_note"]) == ("approved", "key:bob", "seen")
    assert done(ann.get(f"{RULES}/any"))["rule"]["state"] == "rollout"
    assert bob.post(f"{APPROVALS}/{request['id']}/approve").status_code == 409
    assert done(bob.post(f"{RULES}/any/promote"))["rule"]["state"] == "active"


def test_a_request_is_rejected_by_another_or_withdrawn_by_whoever_asked(people):
    ann, bob = people
    done(ann.post(RULES, json={"name": "any", "when": "amount > 1"}), 201)
    for client, stage in ((bob, "rejected"), (ann, "withdrawn")):
        request = done(ann.post(f"{RULES}/any/request", json={"version": 1}), 202)["request"]
        assert done(client.post(f"{APPROVALS}/{request['id']}/reject", json={"note": "no"}))["stage"] == stage
        assert bob.post(f"{APPROVALS}/{request['id']}/approve").status_code == 409
    assert done(ann.get(APPROVALS, params={"stage": "pending"}))["requests"] == []
    assert [each["stage"] for each in done(ann.get(APPROVALS))["requests"]] == ["withdrawn", "rejected"]
    assert done(ann.get(f"{RULES}/any"))["rule"]["state"] == "draft"
    assert ann.post(f"{APPROVALS}/a0/approve").status_code == 404


def test_a_change_of_a_protected_list_waits_for_another(people):
    ann, bob = people
    done(ann.post(LISTS, json={"name": "sanctions", "protected": True}), 201)
    waiting = done(ann.post(f"{LISTS}/sanctions/entries", json={"value": "X1", "reason": "UN"}), 202)
    assert (waiting["list"]["in_force"], waiting["list"]["pending"]) == (0, [waiting["request"]["id"]])
    assert ann.post(f"{APPROVALS}/{waiting['request']['id']}/approve").status_code == 409
    done(bob.post(f"{APPROVALS}/{waiting['request']['id']}/approve"))
    [entry] = done(ann.get(f"{LISTS}/sanctions/entries"))["entries"]
    assert (entry["value"], entry["author"], entry["reason"]) == ("X1", "key:ann", "UN")


def test_hostile_conditions_and_texts_keep_nobody_waiting(client):
    """Each of these took a regular expression hours."""
    pay(client, 0)
    waited, done_with_it = [], threading.Event()

    def ask():
        with patient.Client(base_url=str(client.base_url)) as other:
            while not done_with_it.wait(0.02):
                began = time.monotonic()
                done(other.get("/health"))
                waited.append(time.monotonic() - began)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for number, pattern in enumerate(
            ("%crypto" * 12 + "%exchange%", "%c_y" * 12 + "%b%", "%" + "c_" * 500 + "b%", "%r%p%t" * 300 + "%")
        ):
            text = ("crypto " * 1171)[:8192]
            for operator in ("LIKE", "ILIKE"):
                event = {"transaction_id": "x", "timestamp": NOW, "customer_id": "c", "amount": 1.0, "merchant": text}
                asked = {"when": f"merchant {operator} '{pattern}'", "event": event}
                seen = done(client.post(f"{RULES}/test", json=asked))["event"]
                assert seen["fired"] is (number == 3)
        refused = client.post("/predict", json=event | {"merchant": "crypto " * 51_428})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == "merchant"
        assert "merchant has 359,996 bytes of UTF-8 and at most 8,192" in refused.json()["detail"]
        long = "||".join(["merchant"] * 60)
        too_much = " OR ".join(f"{long} LIKE '%{k}%'" for k in range(6))
        answer = client.post(f"{RULES}/test", json={"when": too_much})
        assert answer.status_code == 422
        assert "at most 50,000,000 are allowed" in answer.json()["detail"]
    finally:
        done_with_it.set()
        asking.join()
    assert max(waited) < 10


def spike(client, number, customer="c1", usual=9):
    """Pays a little so often, then a hundred times as much, a day apart: the rule `amount_spike` blocks that."""
    for k in range(usual):
        pay(client, f"{number}-{k}", 10.0, customer, timestamp=f"2026-01-{number:02}T1{k}:00:00Z")
    return pay(client, f"{number}-spike", 1000.0, customer, timestamp=f"2026-01-{number:02}T23:00:00Z")


def test_a_rule_lowers_an_outcome_only_where_it_says_so_and_preview_and_promotion_say_how_often(client):
    assert [spike(client, day, f"c{day}", 3)["decision"] for day in (5, 6, 8)] == ["BLOCK"] * 3
    known = {"name": "known", "when": "amount > 900", "then": "review"}
    asked = {"when": known["when"], "then": "review", "days": 30, "rule": "known"}
    tried = done(client.post("/detectors/mine/backtest", json=asked))
    assert (tried["matched"], tried["changed"], tried["lowered"], tried["lowered_per_day"]) == (3, 0, 0, 0.0)
    tried = done(client.post("/detectors/mine/backtest", json=asked | {"override": True}))
    assert (tried["matched"], tried["changed"], tried["lowered"], tried["lowered_per_day"]) == (3, 3, 3, 1.0)
    assert (tried["per_day"]["BLOCK"], tried["per_day"]["REVIEW"]) == (-1.0, 1.0)
    assert {(each["decision"], each["then"]) for each in tried["examples"]} == {("BLOCK", "REVIEW")}

    made = done(client.post(RULES, json=known), 201)
    assert (made["version"]["override"], made["lowers"]) == (False, None)
    promoted = done(client.post(f"{RULES}/known/promote", json={"version": 1}))
    assert promoted["lowers"] is None, "it lowers nothing"
    stopped = spike(client, 9, "c9", 3)
    assert (stopped["decision"], stopped["explanation"]["decision_reason"]) == ("BLOCK", "amount_spike")
    assert "lowered" not in stopped["explanation"]

    made = done(client.post(RULES, json=known | {"override": True}), 201)
    assert made["version"]["changed"] == {"override": [False, True]}
    promoted = done(client.post(f"{RULES}/known/promote", json={"version": 2}))
    assert promoted["lowers"] == {"count": 4, "per_day": 1.0, "days": 4}
    lowered = spike(client, 10, "c10", 3)
    assert (lowered["decision"], lowered["explanation"]["decision_reason"]) == ("REVIEW", "known")
    assert lowered["explanation"]["lowered"] == "BLOCK"
    kept = done(client.get(f"/transactions/{lowered['transaction_id']}"))
    assert kept["explanation"]["lowered"] == "BLOCK"


def test_an_override_that_waits_for_another_person_says_what_it_would_lower(serve):
    client = serve(four_eyes=True)
    rule = {"name": "known", "when": "amount > 900", "then": "review", "override": True}
    tested = done(client.post(f"{RULES}/test", json={key: rule[key] for key in ("when", "then", "override")}))
    assert tested["warnings"] == []
    done(client.post(RULES, json=rule), 201)
    asked = done(client.post(f"{RULES}/known/request", json={"version": 1}), 202)
    assert (asked["request"]["action"], asked["lowers"]) == ("promote", None), "nothing has been decided yet"
    spike(client, 5)
    asked = done(client.post(f"{RULES}/known/promote", json={"version": 1}), 202)
    assert asked["lowers"] == {"count": 1, "per_day": 1.0, "days": 1}
    listed = {each["name"]: each for each in done(client.get(RULES))["rules"]}
    assert listed["known"]["newest"]["override"] is True
