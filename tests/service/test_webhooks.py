"""Webhooks over HTTP: what happens in a service comes to a receiver, verified by the client's function."""

import contextlib

import pytest
from tests.receiver import receiving
from tests.service import patient
from tests.waiting import wait_until

from penstock.audit import AuditLog
from penstock.config import Settings
from penstock.identity.keys import Keys
from penstock.service import MicroBatcher, create_app
from penstock.service.access.authorize import Access
from penstock.service.app import ServiceParts
from penstock.wiring.service_parts import served_parts

NOW = "2026-01-05T10:00:00Z"
ALERTS = """
[channels.soc]
kind = "webhook"
url = "{url}"
[[alerts]]
name = "every"
when = "amount > 1"
"""


@pytest.fixture
def serve(mine, tmp_path, serve_in_thread):
    """A service with everything that announces: `with serve() as client`."""

    @contextlib.contextmanager
    def serving(guarded=False, **options):
        settings = Settings(data=tmp_path, webhook_private=True, case_sample=0.0, **options)
        with served_parts({"mine": mine}, settings) as parts:
            batchers = {name: MicroBatcher(name, opener, settings) for name, opener in parts.openers.items()}
            office = parts.operating.office
            parts.trials.listen(lambda name, body: batchers[name].feed.alert(body))
            inside = ServiceParts(
                access=Access(office, settings, exposed=False) if guarded else None,
                administrations=parts.administrations,
                rules=parts.rules,
                cases=parts.cases,
                webhooks=parts.webhooks,
                operating=parts.operating,
            )
            with serve_in_thread(create_app(batchers, settings, inside)) as url, patient.Client(base_url=url) as client:
                wait_until(lambda: client.get("/ready").status_code == 200)
                client.office = office
                yield client

    return serving


@pytest.fixture
def receiver():
    with receiving() as found:
        yield found


def done(response, status=200):
    assert response.status_code == status, response.text
    return response.json()


def pay(client, number):
    payment = {"transaction_id": f"t{number}", "timestamp": NOW, "customer_id": "c1", "amount": 10.0}
    return done(client.post("/predict", json=payment))


def subscribe(client, receiver, **given):
    made = done(client.post("/webhooks", json={"url": receiver.url, **given}), 201)
    receiver.secret = made["secret"]
    return made["webhook"]["id"]


def test_a_day_of_a_payment_arrives_signed_and_in_order(serve, receiver):
    """Its decision, its case from opening to verdict, the label; and a change of a rule."""
    with serve() as client:
        endpoint = subscribe(client, receiver)
        answers = [pay(client, number) for number in range(4)]
        case = wait_until(lambda: client.get("/cases").json()["cases"])[0]
        done(client.post(f"/cases/{case['id']}/take", json={}))
        done(client.post(f"/cases/{case['id']}/escalate", json={"queue": "seniors", "note": "calls himself Ada Lovelace"}))
        verdict = {"verdict": "fraud", "reason": "card_stolen", "note": "Ada again"}
        done(client.post(f"/cases/{case['id']}/verdict", json=verdict))
        rule = {"name": "big", "when": "amount > 900", "then": "block", "note": "new"}
        done(client.post("/detectors/mine/rules", json=rule), 201)
        wanted = {"penstock.label.received", "penstock.rule.changed", "penstock.case.decided"}
        wait_until(lambda: wanted <= {event["type"] for event in receiver.taken})
        wait_until(lambda: client.get(f"/webhooks/{endpoint}").json()["waiting"] == 0)

        assert not receiver.forged
        taken = {
            kind: [each for each in receiver.taken if each["type"] == kind] for kind in {e["type"] for e in receiver.taken}
        }
        decided = taken["penstock.decision.made"]
        assert [event["subject"] for event in decided] == ["t0", "t1", "t2", "t3"]
        assert [event["data"]["decision"] for event in decided] == [answer["decision"] for answer in answers]
        recorded = done(client.get("/transactions/t0"))
        assert all(decided[0]["data"][name] == recorded[name] for name in answers[0].keys() - {"latency_ms"})
        assert {each["specversion"] for each in receiver.taken} == {"1.0"}
        assert decided[0]["source"] == "/detectors/mine"
        of_case = [each["type"].removeprefix("penstock.case.") for each in receiver.taken if each["subject"] == case["id"]]
        assert of_case == ["opened", "assigned", "escalated", "decided"]
        types = [event["type"] for event in receiver.taken if event["data"].get("transaction_id") == "t3"]
        assert types.index("penstock.decision.made") < types.index("penstock.case.opened")
        [outcome] = taken["penstock.case.decided"]
        assert outcome["data"].items() >= {"transaction_id": "t3", "verdict": "fraud", "reason": "card_stolen"}.items()
        [label] = taken["penstock.label.received"]
        assert label["data"].items() >= {"transaction_id": "t3", "fraud": True, "source": "analyst"}.items()
        [changed] = taken["penstock.rule.changed"]
        assert changed["data"].items() >= {"action": "add", "detector": "mine", "subject": "mine/big/1"}.items()
        assert "Ada" not in str(receiver.received)  # texts of people stay inside


def test_a_service_that_delivers_nothing_says_so_and_what_waits_arrives_after_the_next_start(serve, receiver, tmp_path):
    """A copy of a data folder, served beside the original."""
    (tmp_path / "alerts.toml").write_text(ALERTS.format(url=receiver.url))
    with serve(deliver=False, alerts=tmp_path / "alerts.toml") as client:
        endpoint = subscribe(client, receiver, types=["penstock.decision.made"])
        pay(client, 1)
        wait_until(lambda: done(client.get("/alerts/deliveries"))["alerts"])
        found = wait_until(lambda: (each := done(client.get(f"/webhooks/{endpoint}")))["waiting"] and each)
        assert found["state"] == "paused"
        assert client.post(f"/webhooks/{endpoint}/test").status_code == 409
        health = done(client.get("/operations/health"))
        parts = {part["name"]: part for part in health["parts"]}
        assert health["status"] == "ok"
        assert "deliver is false" in parts["delivery"]["text"]
        assert parts["alerts: soc"]["text"] == "1 alerts wait: the setting deliver is false"
        assert parts[f"webhook {endpoint}"]["text"].endswith(": events wait: the setting deliver is false")
    assert receiver.taken == []
    with serve(alerts=tmp_path / "alerts.toml") as client:
        wait_until(lambda: len(receiver.taken) == 2)
        assert "delivery" not in {part["name"] for part in done(client.get("/operations/health"))["parts"]}
    assert {each.get("rule", each.get("type")) for each in receiver.taken} == {"every", "penstock.decision.made"}


def test_deliveries_are_logged_replayed_and_tested(serve, receiver):
    receiver.answer = lambda number, _event: 500 if number == 1 else 200
    with serve() as client:
        endpoint = subscribe(client, receiver, types=["penstock.decision.made"], description="shop")
        for number in range(3):
            pay(client, number)
        wait_until(lambda: len(receiver.taken) == 3)
        path = f"/webhooks/{endpoint}"
        wait_until(lambda: client.get(path).json()["waiting"] == 0)
        page = done(client.get(f"{path}/deliveries?limit=2"))
        rest = done(client.get(f"{path}/deliveries", params={"before": page["next"]}))
        log = [
            (each["subject"], each["outcome"], each["status"], each["attempt"])
            for each in page["deliveries"] + rest["deliveries"]
        ]
        assert log[::-1] == [
            ("t0", "failed", 500, 1),
            ("t0", "delivered", 200, 2),
            ("t1", "delivered", 200, 1),
            ("t2", "delivered", 200, 1),
        ]
        first = receiver.taken[1]
        assert done(client.post(f"{path}/replay", json={"event": first["id"]})) == {"events": 2}
        wait_until(lambda: receiver.subjects() == ["t0", "t1", "t2", "t1", "t2"])
        assert done(client.post(f"{path}/replay", json={"since": "2020-01-01T00:00:00Z"})) == {"events": 3}
        wait_until(lambda: receiver.subjects()[5:] == ["t0", "t1", "t2"])
        assert done(client.post(f"{path}/test"))["outcome"] == "delivered"
        assert receiver.taken[-1]["type"] == "penstock.webhook.test"
        assert not receiver.forged


def test_an_endpoint_is_changed_rotated_and_removed_and_its_secret_shown_once(serve, receiver):
    with serve() as client:
        made = done(client.post("/webhooks", json={"url": receiver.url}), 201)
        path = f"/webhooks/{made['webhook']['id']}"
        assert made["secret"] not in client.get("/webhooks").text + client.get(path).text
        changed = done(client.patch(path, json={"decisions": ["BLOCK"], "retention_days": 2}))
        assert (changed["secret"], changed["webhook"]["decisions"], changed["webhook"]["retention_days"]) == (
            None,
            ["BLOCK"],
            2,
        )
        rotated = done(client.patch(path, json={"rotate_secret": True}))
        assert rotated["secret"] not in (None, made["secret"])
        assert rotated["webhook"]["secret_overlaps_until"] is not None
        assert done(client.patch(path, json={"enabled": False}))["webhook"]["state"] == "paused"
        assert done(client.delete(path)) == {"id": made["webhook"]["id"]}
        for method, route in (("GET", path), ("DELETE", path), ("GET", f"{path}/deliveries"), ("POST", f"{path}/test")):
            assert client.request(method, route).status_code == 404
        entries = AuditLog(client.office).entries(action="webhooks")
        assert [each.action for each in entries][::-1] == ["webhooks.add", *3 * ["webhooks.change"], "webhooks.remove"]
        assert made["secret"] not in str(entries)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "gopher://x/"}, "url"),
        ({"url": "https://x.example/", "types": ["penstock.nothing"]}, "types"),
        ({"url": "https://x.example/", "retention_days": 31}, "retention_days"),
    ],
)
def test_what_is_wrong_with_an_endpoint_is_said_by_field(serve, body, field):
    with serve() as client:
        problem = done(client.post("/webhooks", json=body), 422)
        assert problem["errors"][0]["field"] == field


def test_an_endpoint_that_fails_for_long_raises_an_alert_and_is_measured(serve, receiver):
    receiver.answer = lambda *_: 500
    with serve(webhook_failing_days=1e-9) as client:
        endpoint = subscribe(client, receiver)
        pay(client, 1)
        wait_until(lambda: client.get("/alerts").json()["alerts"])
        [alert] = [each for each in client.get("/alerts").json()["alerts"] if each["rule"] == "webhook_failing"]
        assert alert["about"] == {"webhook": endpoint}
        assert alert["text"].endswith(": 500 Internal Server Error")
        assert done(client.get(f"/webhooks/{endpoint}"))["state"] == "failing"
        [part] = [each for each in client.get("/operations/health").json()["parts"] if each["name"] == f"webhook {endpoint}"]
        assert (part["status"], "/hooks" in part["text"]) == ("failed", False)  # viewers see no path
        wait_until(lambda: f'penstock_webhook_waiting_events{{webhook="{endpoint}"}} 1.0' in client.get("/metrics").text)
        assert 'penstock_webhook_attempts_total{outcome="failed"}' in client.get("/metrics").text


def test_only_administrators_see_and_change_endpoints(serve, receiver):
    with serve(guarded=True) as client:
        keys = Keys(client.office)
        admin, _ = keys.add("admin", ["administrator"], who="test")
        other, _ = keys.add("other", ["analyst", "decider", "rule_author", "approver"], who="test")
        wait_until(lambda: client.get("/webhooks").status_code == 401)
        for method, path in (
            ("GET", "/webhooks"),
            ("POST", "/webhooks"),
            ("POST", "/webhooks/x/replay"),
            ("DELETE", "/webhooks/x"),
        ):
            wait_until(lambda m=method, p=path: client.request(m, p, headers={"X-API-Key": other}).status_code == 403)
        wait_until(lambda: client.get("/webhooks", headers={"X-API-Key": admin}).status_code == 200)
