"""Operations over HTTP: how parts fare, what was refused, what people were told, what was decided on a day."""

import contextlib
import json
import re
import threading
from collections import Counter
from datetime import date, datetime

import msgspec
import pytest
from tests.service import patient
from tests.waiting import wait_until

from penstock import Detector, Entity
from penstock.audit import AuditLog
from penstock.config import Settings
from penstock.errors import LedgerError
from penstock.identity.keys import Keys
from penstock.service import MicroBatcher, create_app
from penstock.service.access import users_keys
from penstock.service.access.authorize import Access
from penstock.service.app import ServiceParts
from penstock.service.http import computed
from penstock.service.operations import alerts, audit, health, quarantine, reports
from penstock.wiring.service_parts import served_parts

NOW = "2026-01-05T10:00:00Z"

ALERTS = """
[channels.chat]
kind = "webhook"
url = "http://127.0.0.1:9/nobody-listens-here"

[[alerts]]
name = "large"
kind = "condition"
when = "amount > 900"
message = "a payment of {amount}"
severity = "critical"
"""


@pytest.fixture
def serve(mine, tmp_path, serve_in_thread):
    """Serves detectors with everything around them: `with serve() as client`; client.parts is what is served."""

    @contextlib.contextmanager
    def serving(*detectors, guarded=False, **options):
        loaded = {detector.name: detector for detector in detectors or (mine,)}
        settings = Settings(data=tmp_path, **options)
        with served_parts(loaded, settings) as parts:
            batchers = {name: MicroBatcher(name, opener, settings) for name, opener in parts.openers.items()}
            office = parts.operating.office
            access = Access(office, settings, exposed=False) if guarded else None
            if parts.alerting is not None:
                parts.alerting.listen(lambda name, body: batchers[name].feed.alert(body))
            app = create_app(batchers, settings, ServiceParts(operating=parts.operating, cases=parts.cases, access=access))
            with serve_in_thread(app) as url, patient.Client(base_url=url) as client:
                wait_until(lambda: client.get("/ready").status_code == 200)
                client.parts, client.office = parts, office
                yield client

    return serving


def done(response, status=200):
    assert response.status_code == status, response.text
    return response.json()


def payment(number, **more):
    return {"transaction_id": f"t{number}", "timestamp": NOW, "customer_id": "c1", "amount": 10.0} | more


def refuse(client, content, status=422, path="/predict"):
    """Let something be refused; the newest entry of quarantine."""
    before = {event["id"] for event in client.get("/quarantine").json()["events"]}
    given = {"content": content} if isinstance(content, bytes) else {"json": content}
    assert client.post(path, **given).status_code == status
    [new] = wait_until(lambda: [e for e in client.get("/quarantine").json()["events"] if e["id"] not in before])
    return new


def audited(client):
    return [(entry.action, entry.subject, entry.details) for entry in AuditLog(client.office).entries()]


# ---------------------------------------------------------------- quarantine


def test_a_refused_event_is_looked_at_corrected_and_decided_like_any_other(serve):
    with serve() as client:
        event = refuse(client, payment(1, amount="ten"))
        assert (event["detector"], event["field"], event["state"]) == ("mine", "amount", "waiting")
        assert "amount" in event["cause"]
        assert json.loads(event["body"]) == payment(1, amount="ten")
        assert done(client.get(f"/quarantine/{event['id']}")) == event
        again = client.post(f"/quarantine/{event['id']}/resubmit", json=payment(1, amount="11"))
        assert (again.status_code, again.json()["errors"][0]["field"]) == (422, "amount")
        assert done(client.get("/quarantine?state=waiting"))["events"] == [event], "it stays, and the vain try is no event more"
        sent = done(client.post(f"/quarantine/{event['id']}/resubmit", json=payment(1)))
        assert (sent["outcome"], sent["transaction_id"], sent["decision"]["decision"]) == ("decided", "t1", "APPROVE")
        assert (sent["event"]["state"], sent["event"]["handled_by"]) == ("resubmitted", "local")
        assert done(client.get("/transactions/t1"))["transaction_id"] == "t1"
        assert done(client.get("/quarantine?state=waiting"))["events"] == []
        assert client.post(f"/quarantine/{event['id']}/resubmit", json=payment(1)).status_code == 409
        told = {"detector": "mine", "cause": event["cause"], "transaction_id": "t1"}
        assert audited(client)[0] == ("quarantine.resubmit", f"quarantine/{event['id']}", told)


def test_a_refused_event_is_dismissed_with_a_reason(serve):
    with serve() as client:
        event = refuse(client, b'{"transaction_id": "t1", ', 400)
        path = f"/quarantine/{event['id']}/dismiss"
        assert client.post(path, json={}).status_code == 422
        found = done(client.post(path, json={"reason": "a test of the producer"}))
        assert (found["state"], found["reason"]) == ("dismissed", "a test of the producer")
        assert client.post(path, json={"reason": "once more"}).status_code == 409
        assert client.post(f"/quarantine/{event['id']}/resubmit", json=payment(1)).status_code == 409
        assert [event["state"] for event in done(client.get("/quarantine?state=dismissed"))["events"]] == ["dismissed"]


def test_all_events_of_a_cause_are_sent_again_or_dismissed_and_later_ones_stay(serve):
    with serve() as client:
        for number in range(3):
            refuse(client, payment(number, amount=-1.0 - number))
        refuse(client, {"transaction_id": "t9"})
        first, other = done(client.get("/quarantine/causes"))["causes"]
        assert (first["detector"], first["count"], first["whole"], other["count"]) == ("mine", 3, 3, 1)
        chosen = {name: first[name] for name in ("detector", "cause")} | {"until": first["newest_at"], "reason": "a test"}
        refuse(client, payment(3, amount=-7.0))
        assert done(client.post("/quarantine/resubmit", json=chosen)) == {"handled": 0, "refused": 3, "skipped": 0}
        assert done(client.post("/quarantine/dismiss", json=chosen)) == {"handled": 3, "refused": 0, "skipped": 0}
        assert [each["count"] for each in done(client.get("/quarantine/causes?detector=mine"))["causes"]] == [1, 1]
        states = Counter(each["state"] for each in done(client.get("/quarantine"))["events"])
        assert states == {"dismissed": 3, "waiting": 2}
        assert client.post("/quarantine/dismiss", json=chosen | {"until": "soon"}).status_code == 422


def test_whole_events_of_a_cause_are_sent_as_they_are_kept_the_oldest_first(serve, monkeypatch):
    sent = []

    async def send(self, event, body, who):
        sent.append(json.loads(body)["transaction_id"])

    monkeypatch.setattr(quarantine.Resubmission, "send", send)
    with serve() as client:
        for number in range(3):
            refuse(client, payment(number, amount=-1.0))
        refuse(client, payment(4, amount=-1.0, customer_id="4111111111111111"))
        [cause] = done(client.get("/quarantine/causes"))["causes"]
        assert (cause["count"], cause["whole"]) == (4, 3)
        chosen = {"detector": "mine", "cause": cause["cause"], "until": cause["newest_at"], "reason": "mended"}
        assert done(client.post("/quarantine/resubmit", json=chosen)) == {"handled": 3, "refused": 0, "skipped": 1}
        assert sent == ["t0", "t1", "t2"]


def test_an_informing_event_goes_where_it_came_from(serve):
    login = {"type": "Login", "transaction_id": "l1", "timestamp": NOW, "customer_id": "c1"}
    with serve() as client:
        event = refuse(client, {**login, "timestamp": "yesterday"}, path="/events")
        sent = done(client.post(f"/quarantine/{event['id']}/resubmit", json=login))
        assert (sent["outcome"], sent["decision"], sent["transaction_id"]) == ("informed", None, "l1")


@pytest.mark.parametrize("path", ["/predict", "/transactions", "/detectors/mine/predict"])
def test_what_is_refused_inside_an_array_or_lines_is_kept_and_dry_runs_are_not(serve, path):
    lines = b"\n".join(json.dumps(each).encode() for each in (payment(1), payment(2, amount=None), 17))
    with serve() as client:
        client.post(path, json=[payment(1), payment(2, amount=[]), 17])
        client.post(path, content=lines, headers={"content-type": "application/x-ndjson"})
        client.post("/predict?dry_run=true", json=payment(3, amount="x"))
        client.post("/predict?dry_run=true", content=b"[{")
        wait_until(lambda: done(client.get("/quarantine"))["kept"] == 4)


@pytest.mark.parametrize("path", ["/predict", "/transactions"])
def test_an_array_that_is_no_json_is_kept_as_a_whole(serve, path):
    with serve() as client:
        assert refuse(client, b'[{"transaction_id": 1}, ', 400, path)["body"] == '[{"transaction_id": 1}, '


def test_a_card_number_is_masked_and_what_is_too_long_is_cut(serve):
    with serve() as client:
        event = refuse(client, payment(1, merchant="card 4111 1111 1111 1111", amount="x"))
        assert (event["masked"], event["cut"]) == (True, False)
        assert "4111" not in event["body"]
        long = refuse(client, payment(1, amount="x" * 10_000))
        assert (long["masked"], long["cut"], len(long["body"])) == (False, True, 4096)


def test_pages_of_refused_events_hold_each_once_newest_first(serve):
    with serve() as client:
        for number in range(7):
            client.post("/predict", json=payment(number, amount="x"))
        wait_until(lambda: done(client.get("/quarantine"))["kept"] == 7)
        seen, before = [], None
        while before is not None or not seen:
            page = done(client.get("/quarantine", params={"limit": 3} | ({"before": before} if before else {})))
            seen += [json.loads(event["body"])["transaction_id"] for event in page["events"]]
            before = page["next"]
        assert seen == [f"t{number}" for number in reversed(range(7))]
        assert client.get("/quarantine?before=x").status_code == 422
        assert client.get("/quarantine/mine:17:abcd").status_code == 404
        assert client.get("/quarantine/nonsense").status_code == 404


def test_of_many_refused_events_the_newest_stay(serve):
    with serve(quarantine_kept=20) as client:
        for start in range(0, 200, 50):
            client.post("/predict", json=[payment(number, amount="x") for number in range(start, start + 50)])
            wait_until(lambda start=start: f't{start + 49}"' in client.get("/quarantine?limit=1").text.replace("\\", ""))
        wait_until(lambda: done(client.get("/quarantine"))["kept"] <= 22)  # they are cut after what is new was written


# ---------------------------------------------------------------- health


def parts(client):
    found = done(client.get("/operations/health"))
    return found["status"], {part["name"]: part for part in found["parts"]}


def test_every_part_says_how_it_fares(serve):
    with serve(snapshot_every_s=3600.0) as client:  # none while this looks
        client.post("/predict", json=payment(1))
        status, found = parts(client)
        assert status == "ok", found
        expected = {
            "state",
            "ledger",
            "snapshots",
            "queue",
            "models",
            "rules",
            "office",
            "alerts",
            "cases",
            "archive",
            "stores",
        }
        assert expected <= set(found)
        assert {name for name, part in found.items() if part["status"] == "absent"} == {"models", "alerts", "archive", "stores"}
        assert found["ledger"]["detector"] == "mine"
        assert (found["office"]["detector"], found["office"]["status"]) == (None, "ok")
        assert found["snapshots"]["lag_events"] == 1
        assert found["cases"]["lag_events"] in {0, 1}
        assert all(part["text"] and part["since"].endswith("Z") for part in found.values())


def test_a_part_that_fails_is_seen_with_its_reason_and_since_when(serve, monkeypatch):
    with serve() as client:
        before = parts(client)[1]["office"]["since"]
        read = client.office.read

        def refuse_to_read(sql, values=None):
            if sql == "SELECT 1":
                raise LedgerError("the database does not answer")
            return read(sql, values or {})

        monkeypatch.setattr(client.office, "read", refuse_to_read)
        status, found = parts(client)
        assert (status, found["office"]["status"], found["office"]["text"]) == (
            "failed",
            "failed",
            "the database does not answer",
        )
        assert found["office"]["since"] > before
        since = found["office"]["since"]
        assert parts(client)[1]["office"]["since"] == since, "it is as it was"
        monkeypatch.undo()
        assert parts(client)[0] == "ok"


def test_a_detector_that_cannot_be_opened_yet_is_said_to_be_so(run, client_for, engine, tmp_path, mine):
    async def scene():
        with served_parts({"mine": mine}, Settings(data=tmp_path)) as parts:
            engine.ready = "no model has been trained yet"
            async with client_for(engine, operating=parts.operating) as client:
                engine.model_version = None
                found = (await client.get("/operations/health")).json()
                return found["status"], {part["name"]: part for part in found["parts"]}

    status, found = run(scene())
    assert (status, found["models"]["status"]) == ("failed", "failed")
    assert found["models"]["text"] == "no model has been trained yet"


# ---------------------------------------------------------------- alerts


def test_an_alert_that_does_not_get_through_says_so_and_somebody_takes_care_of_it(serve, tmp_path):
    (tmp_path / "alerts.toml").write_text(ALERTS)
    with serve(alerts=tmp_path / "alerts.toml") as client:
        client.post("/predict", json=payment(1, amount=950.0))

        def tried():
            found = done(client.get("/alerts/deliveries"))
            return found if found["alerts"] and found["alerts"][0]["deliveries"][0]["attempts"] else None

        found = wait_until(tried)
        [alert] = found["alerts"]
        assert (alert["alert"]["rule"], alert["alert"]["transaction_id"], alert["acknowledged"]) == ("large", "t1", None)
        [delivery] = alert["deliveries"]
        assert (delivery["channel"], delivery["status"]) == ("chat", "retrying")
        assert delivery["detail"]
        [channel] = found["channels"]
        assert (channel["name"], channel["kind"], channel["waiting"], channel["delivered_at"]) == ("chat", "webhook", 1, None)
        assert channel["error"] == delivery["detail"]
        assert found["delivered_by"] == "service"
        status, health = parts(client)
        assert (status, health["alerts: chat"]["status"]) == ("degraded", "degraded")
        key = alert["alert"]["key"]
        mine = done(client.post(f"/alerts/{key}/acknowledge", json={"note": "calling the merchant"}))
        assert (mine["by"], mine["note"]) == ("local", "calling the merchant")
        assert done(client.post(f"/alerts/{key}/acknowledge")) == mine, "whoever was first, stays"
        assert done(client.get("/alerts/deliveries?limit=1"))["alerts"][0]["acknowledged"] == mine
        assert client.post("/alerts/nothing/acknowledge").status_code == 404
        assert audited(client)[0][:2] == ("alerts.acknowledge", f"alerts/{key}")


def test_a_service_without_rules_of_alerting_tells_nobody(serve):
    with serve() as client:
        found = done(client.get("/alerts/deliveries"))
        assert found == {"alerts": [], "next": None, "channels": [], "delivered_by": "nobody"}


# ---------------------------------------------------------------- reports


def days_of(client, path):
    """The listed days, as soon as they are counted."""
    return wait_until(lambda: (listed := done(client.get(path)))["computed_at"] and listed)["reports"]


def test_the_list_of_days_is_answered_while_they_are_counted(serve, monkeypatch):
    may_end = threading.Event()

    def count(*_, **__):
        may_end.wait(30)
        return [(date(2026, 1, 5), 3)]

    monkeypatch.setattr(computed, "FIRST_S", 0.2)
    monkeypatch.setattr(reports, "decided_days", count)
    with serve() as client:
        assert done(client.get("/reports")) == {"reports": [], "computed_at": None}
        may_end.set()
        [day] = days_of(client, "/reports")
        assert (day["date"], day["decisions"]) == ("2026-01-05", 3)


def test_a_day_is_reported_as_facts_and_as_a_page(serve):
    with serve() as client:
        assert days_of(client, "/reports") == []
    with serve() as client:
        days = Counter(client.post("/predict", json=payment(number)).json()["decided_at"][:10] for number in range(3))
        assert {each["date"]: each["decisions"] for each in days_of(client, "/reports")} == days
        today = max(days)
        facts = done(client.get(f"/reports/{today}"))
        assert (facts["by"], facts["figures"]["decisions"]["day"]) == ("decided", days[today])
        assert client.get(f"/reports/{today}?by=event").status_code == 404
        assert client.get("/reports?by=whenever").status_code == 422
        day = {"date": "2026-01-05", "detector": "mine", "decisions": 3, "finished": True}
        assert days_of(client, "/reports?by=event") == [day]
        facts = done(client.get("/reports/2026-01-05?by=event"))
        assert (facts["detector"], facts["by"], facts["figures"]["decisions"]["day"]) == ("mine", "event", 3)
        page = client.get("/reports/2026-01-05?by=event&format=html")
        assert page.headers["content-type"].startswith("text/html")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "style-src 'unsafe-inline'" in policy
        assert "<h1>mine, Monday, 5 January 2026</h1>" in page.text
        assert client.get("/reports/2026-01-06").status_code == 404
        assert client.get("/reports/today").status_code == 422
        for day in ("0001-01-01", "1969-12-31", "1970-01-01", "2199-12-31", "2200-01-01", "9999-12-31"):
            assert client.get(f"/reports/{day}").status_code == 404, day


# ---------------------------------------------------------------- in a guarded service


def test_what_somebody_did_stands_under_their_name(serve):
    with serve(guarded=True) as client:
        secret, _ = Keys(client.office).add("ops", ["administrator", "decider"], who="test")
        wait_until(lambda: client.get("/quarantine").status_code == 401)
        client.headers["authorization"] = f"Bearer {secret}"
        event = refuse(client, payment(1, amount="x"))
        assert done(client.post(f"/quarantine/{event['id']}/resubmit", json=payment(1)))["event"]["handled_by"] == "key:ops"


def test_what_fits_no_detector_is_kept_and_goes_to_the_one_it_fits_when_corrected(serve, mine):
    class Transfer(msgspec.Struct):
        transfer_id: str
        at: datetime
        account: str

    other = Detector(name="other", event=Transfer, id="transfer_id", time="at", features=[Entity("account").count("1h")])
    with serve(mine, other) as client:
        event = refuse(client, {"customer_id": "c1"})
        assert event["detector"] is None
        sent = done(client.post(f"/quarantine/{event['id']}/resubmit", json=payment(1)))
        assert sent["decision"]["detector"] == "mine"


# ---------------------------------------------------------------- the document


def test_every_field_of_what_is_asked_and_answered_is_described_and_every_reference_leads_somewhere(serve):
    declared = [route for module in (users_keys, audit, alerts, health, quarantine, reports) for route in module.route]
    with serve() as client:
        schemas = done(client.get("/openapi.json"))["components"]["schemas"]
        text = client.get("/openapi.json").text
    named = {schema.__name__ for route in declared for schema in route.schemas if not isinstance(schema, str)}
    assert {"KeyList", "AuditPage", "DeliveryPage", "OperationsHealth", "RefusedEvent", "ReportList"} <= named
    bare = [
        f"{name}.{field}"
        for name in named
        for field, schema in schemas[name]["properties"].items()
        if "description" not in schema and not any("description" in each for each in schema.get("anyOf", ()))
    ]
    assert bare == []
    assert {reference for reference in re.findall(r"#/components/schemas/(\w+)", text) if reference not in schemas} == set()
