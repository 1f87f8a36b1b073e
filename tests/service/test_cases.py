"""Cases over HTTP, beside a real engine: what is to be reviewed is worked on, and a verdict becomes a label."""

import hashlib
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.waiting import wait_until

from penstock import CasePolicy, Engine
from penstock.cases.attachments import attach, attachments, detach
from penstock.config import Settings
from penstock.database import open_office
from penstock.errors import Forbidden
from penstock.identity.users import Users
from penstock.service import MicroBatcher, create_app
from penstock.service.app import ServiceParts
from penstock.service.routes import TABLE
from penstock.stream.cases import CaseWork

MINE = str(Path(__file__).with_name("mine.py"))


def payment(number, amount=20.0, customer="C1"):
    at = f"2026-02-06T10:{number // 60:02}:{number % 60:02}Z"
    return {"transaction_id": f"tx{number}", "timestamp": at, "customer_id": customer, "amount": amount}


class Desktop:
    """A client of a service with cases, and what stands behind it."""

    def __init__(self, client, engine, work):
        self.client, self.engine, self.work = client, engine, work

    def cases(self, expected, **params):
        """The cases, as soon as there are so many."""
        until = time.monotonic() + 60
        while True:
            found = self.client.get("/cases", params=params).json()["cases"]
            if len(found) >= expected or time.monotonic() > until:
                assert len(found) == expected
                return found
            time.sleep(0.02)

    def post(self, path, **body):
        return self.client.post(path, json=body)


@pytest.fixture
def opened(mine, tmp_path, serve_in_thread):
    """Opens a service over the same data folder, as often as asked."""

    @contextmanager
    def start(sample=0.0):
        settings = Settings(data=tmp_path, case_sample=sample, max_body_bytes=200_000)
        with open_office(tmp_path) as office:
            work = CaseWork([mine], settings, office)
            engine = Engine(mine, data=tmp_path, on_close=work.close)
            work.watch(engine)
            work.start(engine.ledger)
            app = create_app({"mine": MicroBatcher.of(engine, settings)}, settings, ServiceParts(cases=work.cases))
            with serve_in_thread(app) as url, httpx.Client(base_url=url, timeout=60) as client:
                yield Desktop(client, engine, work)
                work.stop()

    return start


@pytest.fixture
def desktop(opened):
    with opened() as found:
        yield found


def reviewed(desktop, amounts=(20.0, 30.0, 25.0)):
    """Payments of which those from the fourth on are reviewed; their cases, the highest expected loss first."""
    desktop.client.post("/predict", json=[payment(n) for n in range(3)])
    desktop.client.post("/predict", json=[payment(3 + n, amount) for n, amount in enumerate(amounts)])
    return desktop.cases(len(amounts), queue="review")


def test_the_status_of_a_transaction_tells_the_outcome_of_its_review(desktop):
    def review_of(name):
        return desktop.client.get(f"/v1/transaction/{name}/status").json()["review"]

    case = reviewed(desktop, amounts=(20.0,))[0]["id"]
    assert review_of("tx0") is None
    waiting = {"case_id": case, "state": "open", "verdict": None, "reason": None, "decided_at": None}
    assert review_of("tx3") == waiting
    assert desktop.post(f"/cases/{case}/take").status_code == 200
    assert review_of("tx3") == waiting | {"state": "taken"}
    decided = desktop.post(f"/cases/{case}/verdict", verdict="fraud", reason="card_stolen").json()
    told = {"state": "decided", "verdict": "fraud", "reason": "card_stolen", "decided_at": decided["decided_at"]}
    assert review_of("tx3") == waiting | told
    corrected = desktop.post(f"/cases/{case}/verdict", verdict="good", version=decided["version"]).json()
    assert (review_of("tx3")["verdict"], review_of("tx3")["reason"]) == (corrected["verdict"], None) == ("good", None)


def test_reviews_become_cases_in_the_order_of_what_is_at_stake(desktop):
    found = reviewed(desktop)
    assert [case["transaction_id"] for case in found] == ["tx4", "tx5", "tx3"]
    assert [case["expected_loss"] for case in found] == [30.0, 25.0, 20.0]
    assert {case["state"] for case in found} == {"open"}
    first = desktop.client.get("/cases", params={"limit": 2}).json()
    rest = desktop.client.get("/cases", params={"limit": 2, "before": first["next"]}).json()
    assert ([case["transaction_id"] for case in rest["cases"]], rest["next"]) == (["tx3"], None)
    [queue] = desktop.client.get("/cases/queues").json()["queues"]
    assert (queue["queue"], queue["waiting"], queue["taken"], queue["held_by"]) == ("review", 3, 0, {})


def test_what_is_undecided_is_open_held_or_escalated(desktop):
    first, second, third = reviewed(desktop)
    desktop.post(f"/cases/{first['id']}/take")
    desktop.post(f"/cases/{second['id']}/escalate", queue="experts")
    assert len(desktop.cases(3, state="undecided")) == 3
    reasons = desktop.client.get("/cases/queues").json()["reasons"]
    given = desktop.post(f"/cases/{third['id']}/verdict", verdict="good", reason=reasons["good"][0])
    assert given.json()["state"] == "decided"
    assert [case["id"] for case in desktop.cases(2, state="undecided")] == [first["id"], second["id"]]
    swept = desktop.post("/cases/verdicts", verdict="good", filter={"state": "undecided"})
    assert sorted(swept.json()["cases"]) == sorted([first["id"], second["id"]])


def test_a_case_shows_the_decision_what_is_linked_to_it_and_its_history(desktop):
    case = reviewed(desktop)[0]
    desktop.post(f"/cases/{case['id']}/take")
    desktop.post(f"/cases/{case['id']}/note", text="called the customer")
    found = desktop.client.get(f"/cases/{case['id']}").json()
    assert found["case"]["state"] == "taken"
    assert found["decision"] == desktop.client.get("/transactions/tx4").json()
    [link] = found["links"]
    assert (link["entity"], link["key"], link["decisions"]["total"]) == ("customer", "C1", 6)
    assert {decision["transaction_id"] for decision in link["recent"]} == {f"tx{n}" for n in range(6)}
    assert [(line["who"], line["action"]) for line in found["history"]] == [
        ("penstock", "open"),
        ("local", "take"),
        ("local", "note"),
    ]
    assert desktop.client.get("/cases/nothing").status_code == 404


def test_a_file_is_attached_to_a_case_saved_and_removed(desktop):
    case = f"/cases/{reviewed(desktop)[0]['id']}"
    content = b"<script>alert(1)</script>" * 200
    sent = {"content-type": "text/html"}
    added = desktop.client.post(f"{case}/attachments", params={"name": 'r\u00fcck "1".html'}, content=content, headers=sent)
    assert (added.status_code, added.json()["size"], added.json()["added_by"]) == (201, len(content), "local")
    assert added.json()["sha256"] == hashlib.sha256(content).hexdigest()
    found = desktop.client.get(case).json()
    assert found["attachments"] == [added.json()]
    line = {"name": added.json()["name"], "size": len(content), "sha256": added.json()["sha256"]}
    assert (found["history"][-1]["action"], found["history"][-1]["details"]) == ("attach", line)

    file = f"{case}/attachments/{added.json()['id']}"
    saved = desktop.client.get(file, headers={"accept-encoding": "gzip"})
    assert saved.content == content
    assert saved.headers["content-type"] == "application/octet-stream"
    assert saved.headers["content-disposition"] == "attachment; filename*=UTF-8''r%C3%BCck%20%221%22.html"
    assert saved.headers["content-security-policy"].startswith("sandbox")
    assert saved.headers["x-content-type-options"] == "nosniff"
    assert "content-encoding" not in saved.headers

    assert desktop.client.delete(file).json()["version"] == found["case"]["version"]
    assert desktop.client.get(file).status_code == desktop.client.delete(file).status_code == 404
    after = desktop.client.get(case).json()
    assert (after["attachments"], after["history"][-1]["action"]) == ([], "detach")


def test_a_file_is_removed_by_who_added_it_or_an_administrator(desktop):
    case = reviewed(desktop)[0]["id"]
    added = attach(desktop.work.cases, case, "ana", "a.txt", b"a")
    with pytest.raises(Forbidden, match=r"ana added 'a\.txt'"):
        detach(desktop.work.cases, case, added.id, "bob")
    assert attachments(desktop.work.cases.database, case) == [added]
    assert desktop.client.delete(f"/cases/{case}/attachments/{added.id}").status_code == 200  # the local user is one


@pytest.mark.parametrize(
    ("name", "content", "status", "said"),
    [
        ("", b"x", 422, "name"),
        ("../a", b"x", 422, "is no file name"),
        ("a\nb", b"x", 422, "is no file name"),
        ("x" * 201, b"x", 422, "is no file name"),
        ("a.txt", b"", 422, "between 1 and 5,000,000 bytes"),
        ("a.txt", b"x" * 5_000_001, 413, "5000000 bytes"),
    ],
)
def test_what_is_no_file_is_refused(desktop, name, content, status, said):
    case = reviewed(desktop)[0]["id"]
    answer = desktop.client.post(f"/cases/{case}/attachments", params={"name": name}, content=content)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text
    assert desktop.client.get(f"/cases/{case}").json()["attachments"] == []


def test_what_somebody_else_holds_is_409(desktop):
    case = reviewed(desktop)[0]
    desktop.work.cases.take(case["id"], "ana")
    for act, body in (("take", {}), ("release", {}), ("verdict", {"verdict": "fraud"}), ("escalate", {"queue": "experts"})):
        answer = desktop.post(f"/cases/{case['id']}/{act}", **body)
        assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json"), act
        assert "ana" in answer.json()["detail"] or act == "release"
    taken = [desktop.post("/cases/next").json()["transaction_id"] for _ in range(2)]
    assert taken == ["tx5", "tx3"]
    assert desktop.post("/cases/next").status_code == 204
    assert desktop.post("/cases/next", queue="nobodys").status_code == 204


def test_a_verdict_becomes_a_label_and_a_correction_another(desktop):
    case = reviewed(desktop)[0]
    answer = desktop.post(f"/cases/{case['id']}/verdict", verdict="fraud", reason="card_stolen", note="sure")
    assert answer.json()["state"] == "decided"
    label = desktop.engine.ledger.tables.label_of("mine", "tx4")
    assert (label.fraud, label.kind, label.source) == (True, "card_stolen", "analyst")
    assert desktop.post(f"/cases/{case['id']}/verdict", verdict="good").status_code == 409
    seen = answer.json()["version"]
    assert desktop.post(f"/cases/{case['id']}/verdict", verdict="good", version=seen).json()["verdict"] == "good"
    history = desktop.engine.ledger.tables.label_history("mine", "tx4")
    assert [(each.fraud, each.kind) for each in history] == [(True, "card_stolen"), (False, "good")]
    assert desktop.engine.ledger.tables.label_of("mine", "tx4").fraud is False


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "verdict"),
        ({"verdict": "frod"}, "verdict"),
        ({"verdict": "good", "reason": "card_stolen"}, "reason"),
        ({"verdit": "x"}, "verdit"),
    ],
)
def test_a_verdict_that_is_none_is_422(desktop, body, field):
    case = reviewed(desktop)[0]
    answer = desktop.client.post(f"/cases/{case['id']}/verdict", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["errors"][0]["field"] == field


def test_a_verdict_given_by_command_becomes_a_label_of_the_running_service(desktop):
    case = reviewed(desktop)[0]
    desktop.work.cases.decide(case["id"], "ana", "fraud")
    desktop.post(f"/cases/{desktop.cases(3)[1]['id']}/verdict", verdict="unsure")  # whatever comes next tells what waits
    assert desktop.engine.ledger.tables.label_of("mine", "tx4").fraud is True
    assert desktop.engine.ledger.tables.label_of("mine", "tx5") is None, "unsure is no label"


def test_a_verdict_over_many_says_what_it_would_touch_and_then_does(desktop):
    reviewed(desktop)
    asked = {"verdict": "good", "filter": {"queue": "review", "entity": "customer", "key": "C1"}}
    dry = desktop.post("/cases/verdicts", **asked).json()
    assert (dry["dry_run"], dry["count"], dry["amount"]) == (True, 3, 75.0)
    assert len(desktop.cases(3, state="open")) == 3
    assert desktop.post("/cases/verdicts", **asked, dry_run=False, expect=4).status_code == 409
    assert desktop.post("/cases/verdicts", **asked, dry_run=False, expect=3).json()["count"] == 3
    assert {desktop.engine.ledger.tables.label_of("mine", f"tx{n}").fraud for n in (3, 4, 5)} == {False}
    [analyst] = desktop.client.get("/analysts").json()["analysts"]
    assert (analyst["analyst"], analyst["handled"], analyst["agreement"]) == ("local", 3, None)
    assert desktop.post("/cases/verdicts", verdict="good").status_code == 422


def test_a_chargeback_that_says_otherwise_overturns(desktop):
    case = reviewed(desktop)[0]
    desktop.post(f"/cases/{case['id']}/verdict", verdict="good")
    desktop.client.post("/labels/csv", content="transaction_id,fraud,source\ntx4,1,chargeback\n")
    wait_until(lambda: desktop.client.get(f"/cases/{case['id']}").json()["case"]["known"] is not None)
    [analyst] = desktop.client.get("/analysts").json()["analysts"]
    assert (analyst["compared"], analyst["agreed"], analyst["overturned"]) == (1, 0, 1)


@pytest.fixture
def grouped(mine):
    """The detector of `mine`, with one case per customer."""
    before = mine.cases, mine.case_subject
    mine.cases, mine.case_subject = CasePolicy(high_loss=100), "customer"
    yield
    mine.cases, mine.case_subject = before


@pytest.fixture
def burst(grouped, opened):
    """A burst of six payments of one customer, of which three are reviewed."""
    with opened() as desktop:
        desktop.client.post("/predict", json=[payment(n) for n in range(6)])
        wait_until(lambda: [case["transactions"] for case in desktop.client.get("/cases").json()["cases"]] == [3])
        yield desktop


def label_of(desktop, transaction):
    return desktop.engine.ledger.tables.label_of("mine", transaction)


def test_a_burst_of_one_customer_is_one_case_with_a_verdict_for_all_or_one_by_one(burst):
    [case] = burst.cases(1)
    assert (case["subject"], case["amount"], case["transaction_id"]) == ({"entity": "customer", "key": "C1"}, 60.0, "tx3")
    path = f"/cases/{case['id']}"
    detail = burst.client.get(path).json()
    assert [each["transaction_id"] for each in detail["transactions"]] == ["tx3", "tx4", "tx5"]
    one = burst.post(f"{path}/verdict", verdict="good", reason="known_behaviour", transactions=["tx4"]).json()
    assert (one["state"], label_of(burst, "tx4").fraud, label_of(burst, "tx3")) == ("open", False, None)
    assert burst.client.get("/transaction/tx4/status").json()["review"]["verdict"] == "good"
    assert burst.client.get("/transaction/tx5/status").json()["review"]["state"] == "open"
    assert burst.post(f"{path}/verdict", verdict="fraud", seen=2).status_code == 409
    assert burst.post(f"{path}/verdict", verdict="fraud", seen=3).json()["state"] == "decided"
    assert [label_of(burst, f"tx{n}").fraud for n in (3, 4, 5)] == [True, False, True]
    assert burst.client.get("/transaction/tx5/status").json()["review"]["verdict"] == "fraud"
    burst.client.post("/predict", json=payment(6))
    wait_until(lambda: len(burst.client.get("/cases").json()["cases"]) == 2)


def test_a_verdict_is_undone_and_the_next_one_supersedes_its_label(burst):
    [case] = burst.cases(1)
    path = f"/cases/{case['id']}"
    decided = burst.post(f"{path}/verdict", verdict="fraud").json()
    assert (decided["undo_by"], decided["undo_until"] > decided["decided_at"]) == ("local", True)
    undone = burst.post(f"{path}/undo").json()
    assert (undone["state"], undone["verdict"], undone["undo_by"]) == ("open", None, None)
    assert burst.post(f"{path}/undo").status_code == 409
    burst.post(f"{path}/verdict", verdict="good")
    history = burst.engine.ledger.tables.label_history("mine", "tx5")
    assert [each.fraud for each in history] == [True, False]


def test_a_case_is_planned_and_found_by_its_plan(burst):
    [case] = burst.cases(1)
    path = f"/cases/{case['id']}"
    assert burst.client.put("/cases/queues/review", json={"due_minutes": 30}).json()["due_minutes"] == 30
    plan = {"assignee": "bob", "due_at": "2026-01-01T00:00:00Z", "priority": "urgent", "tags": ["ring"], "note": "@mia: see"}
    planned = burst.client.patch(path, json=plan).json()
    assert {name: planned[name] for name in ("assignee", "due_at", "priority", "tags")} == {
        name: plan[name] for name in ("assignee", "due_at", "priority", "tags")
    }
    for chosen in (
        {"assignee": "bob"},
        {"tag": "ring"},
        {"priority": "urgent"},
        {"mentioned": "mia"},
        {"overdue": True},
        {"order": "due"},
        {"order": "priority"},
    ):
        assert [each["id"] for each in burst.cases(1, **chosen)] == [case["id"]], chosen
    for chosen in ({"assignee": "ana"}, {"tag": "rin"}, {"priority": "low"}, {"mentioned": "bob"}, {"overdue": False}):
        assert burst.cases(0, **chosen) == []
    [queue] = burst.client.get("/cases/queues").json()["queues"]
    assert (queue["overdue"], queue["due_minutes"]) == (1, 30)
    load = burst.client.get("/cases/workload", params={"days": 2}).json()
    assert [(each["analyst"], each["open"], each["overdue"], each["decided"]) for each in load["analysts"]] == [
        ("bob", 1, 1, [0, 0])
    ]
    assert [(each["queue"], each["overdue"]) for each in load["queues"]] == [("review", 1)]
    assert burst.client.patch(path, json={"assignee": None}).json()["assignee"] is None
    assert burst.client.patch(path, json={"priority": "soon"}).status_code == 422
    assert burst.client.patch(path, json={"due_at": "soon"}).status_code == 422


def test_a_second_opinion_is_asked_given_and_withdrawn(burst):
    [case] = burst.cases(1)
    path = f"/cases/{case['id']}"
    asked = burst.post(f"{path}/opinion", of="bob", verdict="fraud").json()
    assert asked["opinion"] == {"of": "bob", "by": "local", "verdict": "fraud", "reason": None}
    refused = burst.post(f"{path}/verdict", verdict="fraud")
    assert (refused.status_code, "local asked bob" in refused.json()["detail"]) == (409, True)
    assert burst.client.delete(f"{path}/opinion").json()["opinion"] is None
    assert burst.post(f"{path}/opinion", of="role:cook").status_code == 422
    Users(burst.work.cases.database).add("ana", "a long enough password", ["analyst"], who="local")
    assert burst.client.get("/cases/colleagues").json() == {"users": ["ana"], "roles": ["administrator", "analyst"]}
    unknown = burst.post(f"{path}/opinion", of="bob")
    assert (unknown.status_code, "ana" in unknown.json()["detail"]) == (422, True)
    assert burst.post(f"{path}/opinion", of="ana").status_code == 200


def test_after_a_restart_nothing_is_there_twice_and_what_was_not_told_is_told(opened):
    with opened(sample=0.5) as first:
        found = reviewed(first)
        first.client.post("/predict", json=[payment(n, customer=f"D{n}") for n in range(10, 40)])
        wait_until(lambda: not first.work.feeding.behind)
        before = first.client.get("/cases", params={"limit": 100}).json()["cases"]
        assert len(before) > 6
        first.work.cases.decide(found[0]["id"], "ana", "fraud")  # as where the process dies before it tells the engine
    with opened(sample=0.5) as again:
        assert wait_until(lambda: again.engine.ledger.tables.label_of("mine", "tx4")).source == "analyst"
        after = again.client.get("/cases", params={"limit": 100}).json()["cases"]
        assert sorted(case["id"] for case in after) == sorted(case["id"] for case in before)


def test_every_route_of_cases_needs_a_right(desktop):
    paths = desktop.client.get("/openapi.json").json()["paths"]
    declared = {
        (method.upper(), path) for path, each in paths.items() if path.startswith(("/cases", "/analysts")) for method in each
    }
    assert len(declared) == 22
    assert declared <= TABLE.keys()
