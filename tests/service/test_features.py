"""A feature is made while the service runs: filled from its log, swapped in under load, and then read by a rule."""

import threading

import httpx
import pytest
from tests.waiting import wait_until

from penstock import Engine
from penstock.audit import AuditLog
from penstock.config import Settings
from penstock.database import open_office
from penstock.governance.administration import newer_rules
from penstock.governance.feature_activation import feature_activation
from penstock.service import MicroBatcher, create_app
from penstock.service.app import ServiceParts
from penstock.wiring.governance import rule_administration, with_stored_features

FEATURES, RULES = "/detectors/mine/features", "/detectors/mine/rules"
NOW = "2026-01-05T10:00:00Z"


@pytest.fixture
def serve(mine, tmp_path, serve_in_thread):
    opened = []

    def start():
        chosen = Settings(data=tmp_path)
        office = open_office(tmp_path)
        database = office.__enter__()
        engine = Engine(with_stored_features(mine, chosen), data=tmp_path)
        app = create_app(
            {"mine": MicroBatcher.of(engine, chosen)},
            chosen,
            ServiceParts(
                rules=newer_rules(database, [mine]),
                administrations={"mine": rule_administration(database, mine, chosen)},
                features=feature_activation(database, [mine], chosen),
            ),
        )
        served = serve_in_thread(app)
        client = httpx.Client(base_url=served.__enter__(), timeout=60)
        opened.append([client.close, lambda: served.__exit__(None, None, None), lambda: office.__exit__(None, None, None)])
        client.engine, client.database = engine, database
        return client

    def stop():
        for close in opened.pop():
            close()

    start.stop = stop
    yield start
    while opened:
        stop()


def done(response, status=200):
    assert response.status_code == status, response.text
    return response.json()


def pay(client, number, customer="c1", amount=10.0):
    payment = {"transaction_id": f"t{number}", "timestamp": NOW, "customer_id": customer, "amount": amount}
    return done(client.post("/predict", json=payment))


def until_active(client, name):
    """The feature, as soon as it is no longer being filled."""
    return wait_until(lambda: (found := done(client.get(f"{FEATURES}/{name}")))["state"] != "filling" and found)


DAY = {"kind": "count", "entity": "customer", "window": "30d"}


def add(client, name="month", body=DAY):
    return done(client.post(FEATURES, json={"name": name, "body": body, "note": "for a rule"}), 201)


def test_a_feature_is_filled_swapped_in_and_read_under_load_without_a_failed_request(serve):
    client = serve()
    for number in range(50):
        pay(client, number)
    answers, ending = [], threading.Event()

    def load(first, url):
        with httpx.Client(base_url=url, timeout=60) as other:
            number = first
            while not ending.is_set():
                payment = {"transaction_id": f"l{number}", "timestamp": NOW, "customer_id": f"l{first}", "amount": 1.0}
                answers.append(other.post("/predict", json=payment))
                number += 1

    threads = [threading.Thread(target=load, args=(first, str(client.base_url))) for first in (0, 1_000_000, 2_000_000)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(answers) >= 20)
        assert add(client)["state"] == "draft"
        rule = {"name": "busy", "when": "month > 50", "then": "block", "reason": "{month} payments"}
        refused = client.post(RULES, json=rule)
        assert (refused.status_code, "'month' is a draft" in refused.text) == (422, True)
        done(client.post(f"{FEATURES}/month/activate"))
        assert until_active(client, "month")["state"] == "active"
        done(client.post(RULES, json=rule), 201)
        done(client.post(f"{RULES}/busy/promote", json={"version": 1}))
        first = pay(client, 900)
        least = max(51, len(answers) + 10)
        wait_until(lambda: len(answers) >= least)
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert first["decision"] == "BLOCK"
    assert first["explanation"]["reasons"][0]["text"] == "51 payments"
    assert {answer.status_code for answer in answers} == {200}
    assert len(answers) > 50
    versions = {answer.json()["versions"]["detector"] for answer in answers}
    assert len(versions) >= 2


def test_the_list_says_what_history_could_not_give(serve):
    client = serve()
    pay(client, 1)
    add(client)
    done(client.post(f"{FEATURES}/month/activate"))
    [version] = until_active(client, "month")["versions"]
    assert (version["since_event"], version["whole_from"]) == ("2026-01-05T10:00:00Z", "2026-02-04T10:00:00Z")
    assert "whole from" in version["history"]
    listed = done(client.get(FEATURES))
    assert (listed["computed"], [each["name"] for each in listed["features"]]) == (["month"], ["month"])
    acted = [entry.action for entry in AuditLog(client.database).entries() if entry.subject.startswith("mine/month/")]
    assert acted == ["feature.filled", "feature.activate", "feature.add"]


def test_after_a_restart_the_feature_and_the_rule_that_reads_it_are_there(serve):
    client = serve()
    for number in range(3):
        pay(client, number)
    add(client)
    done(client.post(f"{FEATURES}/month/activate"))
    until_active(client, "month")
    done(client.post(RULES, json={"name": "busy", "when": "month > 3", "then": "block"}), 201)
    done(client.post(f"{RULES}/busy/promote", json={"version": 1}))
    serve.stop()
    client = serve()
    assert client.engine.recovery.notes == []
    assert pay(client, 900)["decision"] == "BLOCK"


def test_what_something_reads_is_not_archived_and_everything_else_is(serve):
    client = serve()
    add(client)
    early = client.post(FEATURES, json={"name": "share", "body": {"derive": "amount / month"}})
    assert (early.status_code, "'month' is a draft" in early.text) == (422, True)
    for name, body in (("month", DAY), ("share", {"derive": "amount / month"})):
        add(client, name, body)
        done(client.post(f"{FEATURES}/{name}/activate"))
        until_active(client, name)
    done(client.post(RULES, json={"name": "busy", "when": "month > 50", "then": "block"}), 201)
    done(client.post(f"{RULES}/busy/promote", json={"version": 1}))
    refused = client.post(f"{FEATURES}/month/archive")
    assert refused.status_code == 409
    assert "rule 'busy'" in refused.text
    assert "feature 'share'" in refused.text
    done(client.post(f"{RULES}/busy/archive"))
    done(client.post(f"{FEATURES}/share/archive"))
    done(client.post(f"{FEATURES}/month/archive"))
    wait_until(lambda: done(client.get(FEATURES))["computed"] == [])
    assert pay(client, 1)["decision"] == "APPROVE"


def test_a_new_version_takes_the_place_of_the_one_before_and_goes_back(serve):
    client = serve()
    pay(client, 1)
    add(client)
    done(client.post(f"{FEATURES}/month/activate"))
    until_active(client, "month")
    add(client, body=DAY | {"where": "amount > 100"})
    done(client.post(f"{FEATURES}/month/activate"))
    assert [each["state"] for each in until_active(client, "month")["versions"]] == ["active", "archived"]
    pay(client, 2)
    assert done(client.get("/entities/customer/c1"))["features"]["month"] == 0
    done(client.post(f"{FEATURES}/month/rollback"))
    assert [each["state"] for each in until_active(client, "month")["versions"]] == ["archived", "active"]
    assert done(client.get("/entities/customer/c1"))["features"]["month"] == 2


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"derive": "amont > 1"}, "amount"),
        ({"kind": "count", "entity": "customer"}, "needs a window"),
        ({"kind": "count", "entity": "customer", "windw": "1d"}, "windw"),
        ({"kind": "lookup", "field": "ip"}, "put it into the detector's file"),
        ({"lookup": "country", "ranges": "ips.csv"}, "put it into the detector's file"),
        ({"kind": "money", "rates": "rates.csv"}, "a conversion of money cannot be made at run time"),
        ({"kind": "count", "entity": "customer", "window": "1d", "of": ["Chargeback"]}, "informs=[...] of the detector's file"),
    ],
)
def test_what_cannot_work_is_refused_with_the_remedy(serve, body, told):
    client = serve()
    for path in (FEATURES, f"{FEATURES}/test"):
        refused = client.post(path, json={"name": "month", "body": body})
        assert (refused.status_code, told in refused.text) == (422, True), refused.text
    assert done(client.post(f"{FEATURES}/test", json={"name": "month", "body": DAY})) == {
        "name": "month",
        "type": "number",
        "reads": ["customer_id"],
    }
    assert client.get(f"{FEATURES}/month").status_code == 404


def test_where_memory_does_not_do_it_is_a_draft_again_and_says_why(serve):
    client = serve()
    pay(client, 1)
    client.engine.pipeline.state.memory_limit = client.engine.pipeline.state.used_bytes + 1
    add(client)
    done(client.post(f"{FEATURES}/month/activate"))
    found = until_active(client, "month")
    assert found["state"] == "draft"
    assert "memory_limit_gb" in found["versions"][0]["trouble"]
