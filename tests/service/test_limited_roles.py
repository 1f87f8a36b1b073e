"""Roles for one detector alone: every route refuses the others, and no answer shows anything of them."""

import asyncio
import json

import httpx
import pytest
import websockets
from tests.service.mine import Payment, customer
from tests.service.mine import detector as mine
from tests.service.serving import serving
from tests.waiting import wait_until

from penstock import CasePolicy, Detector, Policy, Rule
from penstock.cases.attachments import attachments
from penstock.cases.case import case_id
from penstock.clock import system_clock
from penstock.config import Settings
from penstock.errors import MalformedEvent
from penstock.identity.keys import Keys
from penstock.identity.roles import ANYBODY, ROLES, SOMEBODY, Right, known_roles, rights, rights_by_detector
from penstock.identity.users import Users
from penstock.ledger import Raised
from penstock.service import MicroBatcher, create_app
from penstock.service.access.authorize import Access
from penstock.service.app import ServiceParts
from penstock.service.routes import LIMITED, ROUTES, TABLE
from penstock.wiring.service_parts import served_parts

OTHER = "zebra"
"""The name of the other detector, and a part of every value in its data."""

other = Detector(
    name=OTHER,
    event=Payment,
    id="transaction_id",
    time="timestamp",
    features=[customer.count("1h").named("zebra_count")],
    rules=[Rule("zebra_rule", "amount > 100", then="review", reason="zebra: {amount}")],
    policy=Policy(on_failure="review"),
    naive_times="UTC",
    cases=CasePolicy(grouped=False),
)


def payment(number, customer_id, **more):
    stamp = f"2026-02-06T10:00:{number:02}Z"
    return {
        "transaction_id": f"{customer_id}-{number}",
        "timestamp": stamp,
        "customer_id": customer_id,
        "amount": 500.0,
        **more,
    }


def bearer(secret):
    return {"authorization": f"Bearer {secret}"}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A client of a service with data of both detectors, and headers of an administrator and of a key for `mine`."""
    settings = Settings(data=tmp_path_factory.mktemp("data"))
    with served_parts({each.name: each for each in (mine, other)}, settings) as parts:
        office = parts.operating.office
        every, limited = [*ROLES], [f"{role}:mine" for role in ROLES]
        whole, some = (
            bearer(Keys(office).add(name, roles, who="test")[0]) for name, roles in (("every", every), ("limited", limited))
        )
        given = ServiceParts(
            access=Access(office, settings, exposed=True),
            replays=parts.replays,
            cases=parts.cases,
            webhooks=parts.webhooks,
            trials=parts.trials,
            drift=parts.drift,
            administrations=parts.administrations,
            operating=parts.operating,
        )
        batchers = {name: MicroBatcher(name, opener, settings) for name, opener in parts.openers.items()}
        app = create_app(batchers, settings, given)
        with serving(app, settings) as url, httpx.Client(base_url=url, timeout=60) as client:
            wait_until(lambda: client.get("/ready").status_code == 200)
            fill(client, app, whole)
            yield client, whole, some, parts


def fill(client, app, headers):
    """Decisions, cases, refused events, alerts and saved views of both detectors."""
    for name, who in (("mine", "C1"), (OTHER, "zebra1")):
        for number in range(5):
            path = f"/detectors/{name}/predict"
            assert client.post(path, json=payment(number, who), headers=headers).status_code == 200
        refused = client.post(path, json=payment(9, who, amount=who), headers=headers)
        assert refused.status_code == 422
        opened = client.post("/cases", json={"transaction_id": f"{who}-0", "detector": name, "note": who}, headers=headers)
        assert opened.status_code == 200, opened.text
        body = json.dumps({"rule": f"{name}_alert", "detector": name}).encode()
        raised = Raised(f"{name}-alert", name, f"{name}_alert", "warning", system_clock(), body)
        app.served(name).engine.ledger.tables.put_alerts([raised], {})
    for path, name, count in (("/cases", "cases", 8), ("/quarantine", "events", 2), ("/reports", "reports", 2)):
        wait_until(lambda path=path, name=name, count=count: len(client.get(path, headers=headers).json()[name]) == count)
    view = {"page": "/transactions", "name": "zebra payments", "search": {"detector": OTHER}}
    assert client.post("/views/shared", json=view, headers=headers).status_code == 201


REFUSED_ID = "zebra:1:a"
FILLED = {"{case_id}": case_id(OTHER, "zebra1-0"), "{name}": OTHER, "{transaction_id:path}": "zebra1-0"}
FILLED |= {"{entity}": "customer", "{key:path}": "zebra1", "{version}": "1", "{trial}": "model", "{rule}": "zebra_rule"}
FILLED |= {"{list_name}": "stolen", "{request_id}": "a1", "{id}": "x", "{event_id}": REFUSED_ID, "{day}": "2026-02-06"}
FILLED |= {"{attachment_id}": "0123abcd"}
FILLED |= {"{key_id}": "0123abcd", "{queue}": "review", "{feature}": "zebra_count", "{column}": "amount", "{path:path}": "x"}

BODIES = {
    "/predict": payment(21, "C1"),
    "/transactions": payment(22, "C1"),
    "/labels": {"transaction_id": "zebra1-1", "fraud": True, "detector": OTHER},
    "/labels/csv": None,
    "/events": {"type": "Login", **payment(23, "C1")},
    "/stream": {"detector": OTHER},
    "/cases": {"transaction_id": "zebra1-1", "detector": OTHER},
    "/cases/next": {},
    "/cases/verdicts": {"verdict": "fraud", "ids": [FILLED["{case_id}"]], "reason": "card_stolen", "dry_run": False},
    "/quarantine/resubmit": {"cause": "x", "detector": OTHER, "until": "2099-01-01T00:00:00Z", "reason": "x"},
    "/quarantine/dismiss": {"cause": "x", "detector": OTHER, "until": "2099-01-01T00:00:00Z", "reason": "x"},
    "/views": {"page": "/transactions", "name": "my own", "search": {}},
}
"""The bodies of requests that change something, on paths that name neither a detector nor anything of one."""


def requests():
    """Every route, with a path that names the other detector or something of it."""
    for route in ROUTES:
        path = route.path
        for part, value in FILLED.items():
            path = path.replace(part, value)
        assert "{" not in path, f"{route.path}: say what its parameter is, of the other detector"
        if route.method != "WS" and route.path != "/live":
            yield route, path


def names_something(path):
    return "{" in path


# ---------------------------------------------------------------- every route


def test_a_route_that_is_not_declared_to_answer_by_detector_needs_a_role_for_all_of_them(service):
    client, _, some, _ = service
    for route, path in requests():
        served = (route.method, route.path) != ("POST", "/demo/attack/{name}")  # there is no simulated traffic
        if served and (route.method, route.path) not in LIMITED and route.right not in (ANYBODY, SOMEBODY):
            answer = client.request(route.method, path, headers=some)
            assert answer.status_code == 403, (route.method, path)
            assert "concerns every detector" in answer.json()["detail"]


def test_a_request_that_names_another_detector_is_refused_with_its_name_and_the_remedy(service):
    client, _, some, _ = service
    for route, path in requests():
        if (route.method, route.path) in LIMITED:
            asked = path if path.startswith("/detectors/zebra/") else f"{path}?detector=zebra"
            answer = client.request(route.method, asked, headers=some)
            assert answer.status_code == 403, (route.method, asked, answer.text)
            assert "'zebra'" in answer.json()["detail"], asked
            assert "an administrator can give you a role" in answer.json()["detail"], asked


def test_no_list_summary_or_search_shows_anything_of_another_detector(service):
    client, whole, some, _ = service
    shown = set()
    for route, path in requests():
        if route.method != "GET" or (route.method, route.path) not in LIMITED or names_something(route.path):
            continue
        asked = f"{path}?q=zebra" if path == "/search" else path
        if "zebra" in client.get(asked, headers=whole).text.replace('"q":"zebra"', ""):
            shown.add(path)
        answer = client.get(asked, headers=some)
        assert answer.status_code == 200, (asked, answer.text)
        assert "zebra" not in answer.text.replace('"q":"zebra"', ""), asked
    assert shown >= {
        "/transactions",
        "/summaries",
        "/results/recent",
        "/detectors",
        "/search",
        "/views",
        "/cases",
        "/quarantine",
        "/quarantine/causes",
        "/reports",
        "/operations/health",
        "/alerts/deliveries",
        "/insights/rules",
    }, "what the test looks for is there"


def test_sums_over_detectors_leave_out_the_others(service):
    client, whole, some, _ = service

    def both(path, *keys):
        found = []
        for headers in (whole, some):
            value = client.get(path, headers=headers).json()
            for key in keys:
                value = value[key]
            found.append(value)
        return found

    def others(path, *keys):
        whole, own = both(path, *keys)
        assert own > 0
        return whole - own

    assert others("/stats", "total") == 5
    assert others("/insights/summary?range=30d", "processed") == 5
    assert others("/insights/summary?range=30d", "at_risk", "cases") == 5
    for path, count in (("/cases/queues", "waiting"), ("/cases/workload", "unassigned")):
        every, own = (sum(queue[count] for queue in queues) for queues in both(path, "queues"))
        assert (every - own, own > 0) == (5, True), path


def test_what_is_named_by_its_id_is_not_there(service):
    client, whole, some, _ = service
    refused = client.get("/quarantine?detector=zebra", headers=whole).json()["events"][0]["id"]
    for route, path in requests():
        if (route.method, route.path) not in LIMITED or route.path.startswith("/detectors/") or not names_something(route.path):
            continue
        if route.path in {"/views/{id}", "/reports/{day}"}:
            continue  # nothing of a detector
        asked = path.replace(REFUSED_ID, refused).replace("/alerts/zebra1/", "/alerts/zebra-alert/")
        asked += "?name=x" if route.path.endswith("/attachments") else ""
        answer = client.request(route.method, asked, headers=some, json={**BY_PATH.get(route.path, {})})
        missing = answer.status_code == 404 or (route.path.endswith("/status") and answer.status_code == 202)
        assert missing or answer.json().get("nodes") == [], (route.method, asked, answer.status_code, answer.text)


BY_PATH = {
    "/cases/{case_id}/note": {"text": "seen"},
    "/cases/{case_id}/verdict": {"verdict": "fraud", "reason": "card_stolen"},
    "/cases/{case_id}/escalate": {"queue": "senior"},
    "/cases/{case_id}/opinion": {"of": "role:analyst"},
    "/quarantine/{event_id}/dismiss": {"reason": "x"},
    "/quarantine/{event_id}/resubmit": payment(9, "zebra1"),
}


def test_files_of_another_detectors_case_are_not_there(service):
    client, whole, some, parts = service
    case = FILLED["{case_id}"]
    added = client.post(f"/cases/{case}/attachments?name=zebra.txt", content=b"zebra", headers=whole)
    file = f"/cases/{case}/attachments/{added.json()['id']}"
    assert client.get(file, headers=whole).content == b"zebra"
    for method, path in (("POST", f"/cases/{case}/attachments?name=x"), ("GET", file), ("DELETE", file)):
        assert client.request(method, path, headers=some, content=b"x").status_code == 404, (method, path)
    assert [each.name for each in attachments(parts.cases.database, case)] == ["zebra.txt"]
    assert client.delete(file, headers=whole).status_code == 200


def test_a_body_reaches_no_other_detector(service):
    client, whole, some, parts = service
    changing = {route.path for route, _ in requests() if route.method == "POST" and (route.method, route.path) in LIMITED}
    assert {path for path in changing if not names_something(path)} == BODIES.keys(), "add the body of a new route"
    before = client.get("/transactions?detector=zebra&limit=100", headers=whole).json()
    for path, body in BODIES.items():
        csv = "transaction_id,fraud,detector\nzebra1-1,true,zebra\n"
        sent = {"content": csv, "headers": some} if body is None else {"json": body, "headers": some}
        answer = client.post(path, **sent)
        said = answer.json() if answer.content else None
        match path:
            case "/stream" | "/cases" | "/labels":
                refused = said[0] if isinstance(said, list) else said
                assert refused["status"] == 403, (path, said)
                assert "'zebra'" in refused["detail"], (path, said)
            case "/labels/csv":
                assert said[0]["status"] == 403, said
            case "/predict":
                assert said["detector"] == "mine", "the only one that the key may use"
            case "/cases/next":
                assert answer.status_code == 204 or said["detector"] == "mine"
            case "/cases/verdicts":
                assert (said["count"], [each["why"] for each in said["skipped"]]) == (0, ["there is no such case"])
            case "/quarantine/resubmit" | "/quarantine/dismiss":
                assert answer.status_code in {200, 403}, said
                assert said.get("handled", 0) == 0, said
    assert client.get("/transactions?detector=zebra&limit=100", headers=whole).json() == before
    assert parts.cases.case(FILLED["{case_id}"]).state == "open"


def test_a_verdict_on_all_cases_of_a_filter_leaves_those_of_others(service):
    client, whole, some, _ = service
    body = {"verdict": "fraud", "filter": {"state": "undecided"}, "reason": "card_stolen"}
    seen, every = (client.post("/cases/verdicts", json=body, headers=headers).json()["cases"] for headers in (some, whole))
    others = {case["id"] for case in client.get("/cases?detector=zebra", headers=whole).json()["cases"]}
    assert (others & set(seen), others <= set(every), len(seen) > 0) == (set(), True, True)


# ---------------------------------------------------------------- what stays open


def test_live_pages_show_the_detectors_of_the_viewer_alone(service):
    client, whole, some, _ = service

    def first_of_stream(headers):
        with client.stream("GET", "/live", headers=headers) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    return line
        return ""

    async def first_of_socket(headers):
        url = str(client.base_url).replace("http", "ws") + "/ws/live?decisions=summary"
        async with websockets.connect(url, additional_headers=headers) as socket:
            return await socket.recv()

    for read in (first_of_stream, lambda headers: asyncio.run(first_of_socket(headers))):
        every, own = read(whole), read(some)
        assert "zebra" in every
        assert "zebra" not in own
        assert "mine" in own


def test_a_viewer_of_a_stream_whose_detectors_change_is_disconnected(service):
    client, _, _, parts = service
    people = Users(parts.operating.office)
    people.add("ana", "correct horse battery", ["viewer:mine"], who="test")
    with httpx.Client(base_url=client.base_url, timeout=60) as asking:
        assert asking.post("/session", json={"name": "ana", "password": "correct horse battery"}).status_code == 200
        with asking.stream("GET", "/live") as answer:
            assert answer.status_code == 200
            people.change("ana", roles=["viewer:zebra"], who="test")
            assert list(answer.iter_lines()), "the stream ends"


def test_the_api_document_describes_the_events_of_the_own_detector_alone(service):
    client, whole, some, _ = service
    every, own = (client.get("/openapi.json", headers=headers).json() for headers in (whole, some))
    assert "zebra" in json.dumps(every)
    assert "zebra" not in json.dumps(own)


def test_what_a_role_of_one_detector_allows_there_is_allowed(service):
    client, _, some, _ = service
    for path in ("/detectors/mine/rules", "/detectors/mine/definition", "/transactions/C1-0", "/stats?detector=mine"):
        assert client.get(path, headers=some).status_code == 200, path
    label = {"transaction_id": "C1-1", "fraud": True, "detector": "mine", "source": "analyst"}
    assert client.post("/labels", json=label, headers=some).json()["accepted"] is True
    told = client.get("/session", headers=some).json()
    assert told["roles"] == sorted(f"{role}:mine" for role in ROLES)
    assert {right.name.lower() for right in Right} - set(told["rights"]) == {"administer", "audit"}, "the console hides these"
    assert (told["everywhere"], told["by_detector"]) == ([], {"mine": told["rights"]})


def test_a_role_for_all_detectors_and_one_for_some_add_up(service):
    client, whole, _, _ = service
    made = client.post("/keys", json={"name": "both", "roles": ["viewer", "labeler:mine"]}, headers=whole)
    headers = bearer(made.json()["secret"])
    assert client.get("/transactions/zebra1-0", headers=headers).status_code == 200
    told = client.get("/session", headers=headers).json()
    assert (told["rights"], told["everywhere"], told["by_detector"]) == (
        ["label", "read"],
        ["read"],
        {"mine": ["label", "read"]},
    )
    labels = [{"transaction_id": "C1-2", "fraud": False, "detector": "mine"}]
    labels += [{"transaction_id": "zebra1-2", "fraud": False, "detector": OTHER}]
    taken, refused = client.post("/labels", json=labels, headers=headers).json()
    assert taken["accepted"] is True
    assert refused["status"] == 403


def test_a_role_for_a_misspelt_detector_is_refused(service):
    client, whole, _, _ = service
    for path, more in (("/keys", {}), ("/users", {"password": "a long enough one"})):
        refused = client.post(path, json={"name": "typo", "roles": ["viewer", "analyst:mines"], **more}, headers=whole)
        assert refused.status_code == 422
        assert "'analyst:mines': there is no detector 'mines'. Did you mean mine?" in refused.text
        elsewhere = {"name": "elsewhere", "roles": ["analyst:wire_transfers"], **more}
        assert client.post(path, json=elsewhere, headers=whole).status_code == 201, "another service may have that detector"
    refused = client.patch("/users/elsewhere", json={"roles": ["analyst:mien"]}, headers=whole)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "roles")


def test_an_operator_who_corrects_an_event_is_not_told_its_decision(service):
    client, whole, _, _ = service
    made = client.post("/keys", json={"name": "operator", "roles": ["operator"]}, headers=whole)
    for number, headers, told in ((31, bearer(made.json()["secret"]), False), (32, whole, True)):
        assert client.post("/detectors/mine/predict", json=payment(number, "C1", amount="x"), headers=whole).status_code == 422
        waiting = client.get("/quarantine?detector=mine&state=waiting&limit=1", headers=headers).json()["events"]
        path = f"/quarantine/{waiting[0]['id']}/resubmit"
        answer = client.post(path, json=payment(number, "C1"), headers=headers).json()
        assert (answer["outcome"], answer["transaction_id"]) == ("decided", f"C1-{number}")
        assert (answer["decision"] is not None) == told


# ---------------------------------------------------------------- roles


def test_a_role_of_a_detector_is_a_role_and_its_name():
    assert known_roles(["analyst:card", "viewer"]) == {"analyst:card", "viewer"}
    for wrong in ("analist:card", "analyst:", "analyst:Card", "analyst:a:b", ":card", "analyst:a b"):
        with pytest.raises(MalformedEvent):
            known_roles([wrong])
    assert rights(["administrator:card"]) == ANYBODY
    assert rights(["viewer", "decider:card"], "card") == Right.READ | Right.DECIDE
    assert rights_by_detector(["viewer", "decider:card"]) == {"card": Right.READ | Right.DECIDE}


def test_limited_routes_are_routes():
    assert TABLE.keys() > LIMITED
