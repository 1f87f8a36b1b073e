"""Who may do what: every route in every role, by the table; keys, sessions and sockets; nothing more open than it says."""

import asyncio
import contextlib
import json
import time

import httpx
import hypothesis
import pytest
import schemathesis
import websockets

from penstock import audit
from penstock.cli.logs import JsonLines
from penstock.clock import system_clock
from penstock.config import Settings
from penstock.database import SqliteDatabase
from penstock.identity.keys import Keys
from penstock.identity.roles import ANYBODY, ROLES, Right
from penstock.identity.users import Users
from penstock.service import MicroBatcher, TrafficSender, create_app
from penstock.service.access.authorize import Access, Rights, cookie, cookie_named, declared
from penstock.service.access.credentials import REFRESH_S
from penstock.service.app import ServiceParts
from penstock.service.http.rate_limit import TokenBucket
from penstock.service.http.requests import ACTOR
from penstock.service.routes import ROUTES, TABLE
from penstock.wiring.health import ServiceHealth
from penstock.wiring.service_parts import served_parts

PASSWORD = "correct horse battery"


@pytest.fixture
def office():
    database = SqliteDatabase()
    yield database
    database.close()


@pytest.fixture
def guarded(office, client_for, engine):
    """A client of a guarded service: `async with guarded() as client`; client.access is its Access."""

    @contextlib.asynccontextmanager
    async def open_client(*, exposed=False, clock=system_clock, **settings):
        settings = Settings(**settings)
        access = Access(office, settings, exposed=exposed, clock=clock)
        traffic = TrafficSender("fake", iter(()), 1.0, attacks={"x": lambda: None})
        async with client_for(engine, settings=settings, access=access, traffic=traffic) as client:
            client.access = access
            yield client

    return open_client


def standing():
    """A clock that stands still: however slow a test is, no bucket fills meanwhile."""
    now = system_clock()
    return lambda: now


def looks_of(access, monkeypatch):
    """The looks at what was changed that have begun: `REFRESH_S` lies between two, however slow the machine is."""
    begun, look = [], access.credentials.refresh

    def refresh():
        begun.append(None)
        look()

    monkeypatch.setattr(access.credentials, "refresh", refresh)
    return begun


def key(office, *roles, **options):
    return Keys(office).add("program", roles, who="test", **options)[0]


def bearer(secret):
    return {"authorization": f"Bearer {secret}"}


FILLED = {"{case_id}": "x", "{name}": "fake", "{transaction_id:path}": "tx1", "{entity}": "customer", "{key:path}": "C1"}
FILLED |= {"{version}": "v1", "{trial}": "model", "{rule}": "large", "{list_name}": "stolen", "{request_id}": "a1"}
FILLED |= {"{id}": "wh_1", "{event_id}": "x:1:a", "{day}": "2026-01-05", "{key_id}": "0123abcd"}


def filled(path):
    for part, value in FILLED.items():
        path = path.replace(part, value)
    return path


# ---------------------------------------------------------------- the table


HOT = {("POST", "/predict"), ("POST", "/detectors/{name}/predict")}


class Anything(dict):
    """A part of every type."""

    def get(self, kind, _default=None):
        return self.setdefault(kind, object())


def with_every_route(app):
    """The application with the routes that it has only where their drawer is there; none of them is able to answer."""
    served = declared(app.routes)
    parts = Anything({Settings: Settings()})
    for route in ROUTES:
        if (route.method, route.path) not in served:
            route.add(app, parts)
    return app


def test_every_route_of_the_service_is_in_the_table_and_nothing_else_is(engine):
    traffic = TrafficSender("fake", iter(()), 1.0, attacks={})
    app = with_every_route(
        create_app({"fake": MicroBatcher.of(engine, Settings())}, Settings(), ServiceParts(traffic=traffic)).app
    )
    assert declared(app.routes) - set(TABLE) == set(), "routes that are closed to everybody: declare them with a right"
    assert set(TABLE) - declared(app.routes) == HOT, "rows of the table for which there is no route"


def test_a_service_with_every_part_has_every_route(mine, office, tmp_path):
    settings = Settings(data=tmp_path)
    with served_parts({mine.name: mine}, settings) as parts:
        given = ServiceParts(
            traffic=TrafficSender(mine.name, iter(()), 1.0, attacks={}),
            access=Access(office, settings, exposed=False),
            cases=parts.cases,
            webhooks=parts.webhooks,
            trials=parts.trials,
            administrations=parts.administrations,
            operating=parts.operating,
        )
        batchers = {name: MicroBatcher(name, opener, settings) for name, opener in parts.openers.items()}
        assert declared(create_app(batchers, settings, given).app.routes) | HOT == set(TABLE)


@pytest.mark.parametrize("role", [None, *ROLES])
def test_every_route_lets_in_whom_the_table_says_and_nobody_else(run, guarded, office, role):
    headers = bearer(key(office, role)) if role else {}
    key(office, "viewer")

    async def scene():
        async with guarded() as client:
            with_every_route(client.app.app)
            for (method, path), needed in TABLE.items():
                if method == "WS" or path in {"/live", "/session"}:
                    continue  # sockets, streams and sessions have tests of their own
                for asked in [method, "HEAD"] if method == "GET" else [method]:
                    status = (await client.request(asked, filled(path), headers=headers)).status_code
                    if needed == ANYBODY or (role and ROLES[role] & needed):
                        assert status not in {401, 403}, (asked, path, role)
                    else:
                        assert status == (403 if role else 401), (asked, path, role)

    run(scene())


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("path", ["/predict", "/detectors/fake/predict"])
def test_whoever_may_read_may_ask_for_a_dry_run_and_nothing_of_it_is_kept(run, guarded, office, engine, payment, role, path):
    headers = bearer(key(office, role))
    decides, tries = Right.DECIDE in ROLES[role], bool(ROLES[role] & (Right.DECIDE | Right.READ))
    asked = {"true": tries, "1": tries, "": tries, "false": decides, "0": decides, "maybe": decides}
    asked |= {"true&dry_run=false": decides, "false&dry_run=true": tries, "%74rue": tries}

    async def scene():
        async with guarded() as client:
            for number, (value, let_in) in enumerate(asked.items()):
                for body in [payment(number), b"[" + payment(number) + b"]"]:
                    answer = await client.post(f"{path}?dry_run={value}", content=body, headers=headers)
                    expected = (422 if value == "maybe" else 200) if let_in else 403
                    assert answer.status_code == expected, (value, answer.text)

    run(scene())
    assert {dry_run for _, dry_run in engine.batches} == ({True, False} if decides else {True} if tries else set())


def test_roles_of_one_task_reach_that_task_and_nothing_else():
    def reached(role):
        return {route for route, needed in TABLE.items() if ROLES[role] & needed and needed != ~ANYBODY}

    changing = {path for method, path in reached("auditor") if method not in {"GET", "WS"}}
    assert changing == {"/verify/{transaction_id:path}", "/views", "/views/{id}"}, "recomputing, and views of one's own"
    assert {("GET", "/audit"), ("GET", "/users"), ("GET", "/keys"), ("GET", "/transactions")} <= reached("auditor")
    operating = ("/alerts/", "/metrics", "/operations/", "/quarantine", "/webhooks")
    assert {path for _, path in reached("operator") if not path.startswith(operating)} == set()
    assert {method for method, path in reached("operator") if path == "/webhooks"} == {"GET"}
    verdicts = {"/cases/verdicts", "/cases/{case_id}/verdict", "/cases/{case_id}/undo"}
    assert {path for _, path in reached("labeler")} == {"/labels", "/labels/csv"} | verdicts
    working = reached("analyst") - reached("labeler") - reached("viewer")
    assert {("POST", "/cases/{case_id}/take"), ("PATCH", "/cases/{case_id}"), ("POST", "/cases/next")} <= working
    assert not [role for role in ("auditor", "operator", "labeler") if Right.PERSONAL in ROLES[role]]


def test_an_auditor_reads_who_changed_what_without_what_is_said_of_customers(run, client_for, engine, office, tmp_path):
    auditor, administrator = bearer(key(office, "auditor")), bearer(key(office, "administrator"))
    with office.write() as transaction:
        details = {"note": "called her at home"}
        audit.note(transaction, who="ana", action="cases.note", subject="cases/x", details=details, at_us=1)

    async def scene():
        settings = Settings(data=tmp_path)
        access, operating = Access(office, settings, exposed=True), ServiceHealth(settings, office)
        async with client_for(engine, settings=settings, access=access, operating=operating) as client:
            return [(await client.get("/audit", headers=headers)).json() for headers in (auditor, administrator)]

    for found, said in zip(run(scene()), ("[hidden]", "called her at home"), strict=True):
        assert said in json.dumps(found["entries"][0]["details"])
        assert found["entries"][-1]["details"]["roles"] == ["auditor"], "who has access is no personal value"


@pytest.mark.parametrize("path", ["/labels", "/labels/csv"])
def test_a_program_that_sends_transactions_says_what_became_of_them_but_gives_no_verdicts(run, guarded, office, engine, path):
    def labels(*sources):
        if path == "/labels/csv":
            return "\n".join(["transaction_id,fraud,source", *(f"tx1,true,{source}" for source in sources)]).encode()
        return json.dumps([{"transaction_id": "tx1", "fraud": True, "source": source} for source in sources]).encode()

    decider, analyst, viewer = (bearer(key(office, role)) for role in ("decider", "analyst", "viewer"))

    async def scene():
        async with guarded() as client:
            first, second = (await client.post(path, content=labels("chargeback", "analyst"), headers=decider)).json()
            assert first == {"transaction_id": "tx1", "accepted": True}
            assert (second["status"], second["errors"][0]["field"]) == (403, "source")
            assert (await client.post(path, content=labels("analyst"), headers=analyst)).json() == [first]
            assert (await client.post(path, content=labels("chargeback"), headers=viewer)).status_code == 403
            assert (await client.get("/transactions", headers=decider)).status_code == 403
            assert (await client.post("/cases/next", headers=decider)).status_code in {403, 404}

    run(scene())
    assert [label["source"] for label in engine.labels] == ["chargeback", "analyst"]


def test_a_route_that_the_table_does_not_know_is_closed_to_everybody(run, guarded, office):
    secret = key(office, *ROLES)

    async def scene():
        async with guarded() as client:
            client.app.app.add_api_route("/new", lambda: {"secret": 1}, methods=["GET"])
            assert (await client.get("/new", headers=bearer(secret))).status_code == 403

    run(scene())


@pytest.mark.parametrize("path", ["/nowhere", "//stats", "/stats/", "/STATS", "/transactions/", "/predict/", "/%73tats"])
def test_a_path_written_otherwise_is_no_way_in(run, guarded, office, path):
    key(office, "viewer")

    async def scene():
        async with guarded() as client:
            for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
                assert (await client.request(method, f"http://localhost{path}")).status_code == 401, method

    run(scene())


@pytest.mark.parametrize("path", ["/keys/", "//evil.example/keys/", "/transactions/", "/docs/", "/detectors/fake/rules/"])
def test_no_path_is_redirected_to_a_host_that_the_request_names(run, guarded, office, path):
    secret = key(office, "administrator", "decider")

    async def scene():
        async with guarded() as client:
            for headers in ({}, bearer(secret)):
                answer = await client.get(f"http://penstock{path}", headers=headers | {"host": "evil.example"})
                assert answer.status_code in {401, 403, 404, 421}, answer.status_code
                assert "evil.example" not in answer.headers.get("location", "")

    run(scene())


def test_every_answer_says_that_its_type_is_not_to_be_guessed(run, guarded, office, payment):
    secret = bearer(key(office, "decider", "viewer"))
    asked = [("GET", path) for path in ("/", "/docs", "/assets/docs.js", "/assets/none", "/health", "/metrics", "/nothing")]
    asked += [("POST", "/predict"), ("GET", "/predict"), ("OPTIONS", "/predict"), ("OPTIONS", "/keys"), ("HEAD", "/health")]

    async def scene():
        async with guarded() as client:
            for headers in ({}, secret):
                for method, path in asked:
                    answer = await client.request(method, path, headers=headers, content=payment(1))
                    assert answer.headers.get_list("x-content-type-options") == ["nosniff"], (method, path)
            assert (await client.get("/health", headers=secret)).headers["cache-control"] == "no-store"

    run(scene())


def test_what_is_not_for_a_method_or_not_there_is_told_to_whoever_has_a_key(run, guarded, office):
    secret = key(office, "decider")

    async def scene():
        async with guarded() as client:
            assert (await client.get("/nowhere", headers=bearer(secret))).status_code == 404
            assert (await client.delete("/stats", headers=bearer(secret))).status_code == 405
            assert (await client.options("/stats", headers=bearer(secret))).status_code == 204

    run(scene())


# ---------------------------------------------------------------- open or closed


def test_on_the_loopback_address_everything_is_open_until_the_first_key_and_then_never_again(run, guarded, office, payment):
    async def scene():
        async with guarded() as client:
            assert (await client.get("/health")).json()["access"] == "open"
            assert (await client.post("/predict", content=payment(1))).status_code == 200
            told = (await client.get("/session")).json()
            assert (told["name"], told["roles"], told["open"]) == ("local", sorted(ROLES), True)
            assert (told["sign_in"]["needed"], len(told["rights"])) == (False, len(Right))
            assert told["notice"].startswith("No key is needed")
            keys = Keys(office)
            _, made = keys.add("program", ["viewer"], who="test")
            await client.access.refresh()
            refused = await client.post("/predict", content=payment(2))
            assert refused.status_code == 401
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.headers["www-authenticate"].startswith("Bearer")
            assert (await client.get("/health")).json()["access"] == "closed"
            keys.revoke(made.id, who="test")
            await client.access.refresh()
            assert (await client.get("/stats")).status_code == 401

    run(scene())


def test_an_address_that_others_reach_is_closed_from_the_start(run, guarded, payment):
    async def scene():
        async with guarded(exposed=True) as client:
            assert (await client.post("/predict", content=payment(1))).status_code == 401
            assert (await client.get("/health")).status_code == 200
            assert client.access.explain().startswith("closed")

    run(scene())


def test_the_route_is_told_who_asks(run, guarded, office):
    secret = key(office, "viewer", "analyst")
    seen = {}

    async def scene():
        async with guarded() as client:
            inner = client.app.app

            async def spy(scope, receive, send):
                seen["actor"] = scope[ACTOR]
                await inner(scope, receive, send)

            client.app.app = spy
            await client.get("/stats", headers=bearer(secret))
            client.app.app = inner

    run(scene())
    assert seen["actor"] == ("key:program", frozenset({"viewer", "analyst"}))


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_a_key_is_taken_in_either_header_and_only_whole(run, guarded, office, header, payment):
    secret = key(office, "decider")
    form = "bearer {}" if header == "authorization" else "{}"

    async def scene():
        async with guarded() as client:

            async def status(given):
                headers = {header: form.format(given)}
                return (await client.post("/predict", content=payment(1), headers=headers)).status_code

            assert await status(secret) == 200
            other = secret[:-1] + ("A" if secret[-1] != "A" else "B")
            for wrong in (other, secret[:-1], secret + "x", secret.removeprefix("psk_"), "", "x" * 5000):
                assert await status(wrong) == 401, wrong
            assert (await client.get("/stats", headers={"authorization": "Basic YTpi"})).status_code == 401

    run(scene())


def test_a_key_that_is_revoked_elsewhere_is_refused_within_a_second(run, tmp_path, engine, client_for, monkeypatch):
    """The second is counted in looks, of which a slow machine makes no more: two at most, should one have begun just before."""
    ours, theirs = SqliteDatabase(tmp_path / "office"), SqliteDatabase(tmp_path / "office")
    keys = Keys(theirs)
    secret, made = keys.add("program", ["viewer"], who="test")

    async def scene():
        access = Access(ours, Settings(), exposed=False)
        async with client_for(engine, access=access) as client:
            assert (await client.get("/stats", headers=bearer(secret))).status_code == 200
            keys.revoke(made.id, who="test")
            looks = looks_of(access, monkeypatch)
            while (await client.get("/stats", headers=bearer(secret))).status_code == 200:
                await asyncio.sleep(0.02)
            assert len(looks) * REFRESH_S < 1.0

    run(scene())
    [kept] = keys.all()
    assert kept.used_us is not None
    ours.close()
    theirs.close()


def test_a_key_is_refused_from_the_instant_it_expires(run, office, engine, client_for):
    now = [1_000_000]
    secret, _ = Keys(office, lambda: now[0]).add("program", ["viewer"], expires_us=2_000_000, who="test")

    async def scene():
        access = Access(office, Settings(), exposed=False, clock=lambda: now[0])
        async with client_for(engine, access=access) as client:
            assert (await client.get("/stats", headers=bearer(secret))).status_code == 200
            now[0] = 2_000_000
            assert (await client.get("/stats", headers=bearer(secret))).status_code == 401

    run(scene())


def test_each_key_has_a_rate_of_its_own_and_is_told_when_to_come_again(run, guarded, office, payment):
    first, second = key(office, "decider"), key(office, "decider")

    async def scene():
        async with guarded(rate_limit=0.25, rate_burst=3, clock=standing()) as client:
            found = [await client.post("/predict", content=payment(n), headers=bearer(first)) for n in range(4)]
            assert [answer.status_code for answer in found] == [200, 200, 200, 429]
            assert [value for name, value in found[3].headers.items() if name == "retry-after"] == ["4"]
            Keys(office).add("another", ["viewer"], who="test")
            await client.access.refresh()  # a change elsewhere fills nobody's bucket
            assert (await client.post("/predict", content=payment(5), headers=bearer(first))).status_code == 429
            assert (await client.post("/predict", content=payment(6), headers=bearer(second))).status_code == 200

    run(scene())


def test_every_answer_to_a_key_says_what_is_left_of_its_rate_limit(run, guarded, office, payment):
    secret = bearer(key(office, "decider"))

    async def scene():
        async with guarded(rate_limit=0.5, rate_burst=2, clock=standing()) as client:
            found = [await client.post("/predict", content=payment(n), headers=secret) for n in range(3)]
            assert {answer.headers["ratelimit-policy"] for answer in found} == {'"key";q=2;w=4'}
            assert [answer.headers["ratelimit"] for answer in found] == ['"key";r=1;t=2', '"key";r=0;t=4', '"key";r=0;t=4']
            answered = []
            scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": b""}
            scope["headers"] = [(name.encode(), value.encode()) for name, value in secret.items()]
            assert client.app.ask(scope, payment(4), lambda *answer: answered.append(answer)), "the way of one plain event"
            assert (b"ratelimit", b'"key";r=0;t=4') in answered[0][1]
            assert "ratelimit" not in (await client.get("/health")).headers

    run(scene())


def test_a_bucket_fills_with_time_up_to_its_burst_and_not_when_the_clock_goes_back():
    bucket = TokenBucket(per_s=10.0, burst=2)
    assert [bucket.wait_s(0) for _ in range(3)] == [0.0, 0.0, pytest.approx(0.1)]
    assert bucket.wait_s(-5_000_000) > 0
    assert [bucket.wait_s(60_000_000) > 0 for _ in range(3)] == [False, False, True]


def test_no_secret_reaches_the_log(run, guarded, office, caplog, payment):
    Users(office).add("ana", PASSWORD, ["viewer"], who="test")
    secret = key(office, "decider")
    caplog.set_level("DEBUG")

    async def scene():
        async with guarded() as client:
            await client.post("/predict", content=payment(1), headers=bearer(secret))
            await client.post("/predict", content=payment(1), headers=bearer(secret[:-1]))
            await client.post("/session", json={"name": "ana", "password": PASSWORD})
            await client.post("/session", json={"name": "ana", "password": PASSWORD + "x"})

    run(scene())
    assert PASSWORD not in caplog.text
    assert secret[:-1] not in caplog.text


# ---------------------------------------------------------------- sessions


def test_a_person_signs_in_works_and_signs_out(run, guarded, office):
    Users(office).add("ana", PASSWORD, ["analyst"], who="test")

    async def scene():
        async with guarded() as client:
            signed = await client.post("/session", json={"name": "ana", "password": PASSWORD})
            rights = ["label", "personal", "read", "review"]
            told = {"name": "ana", "roles": ["analyst"], "rights": rights, "open": False, "notice": None}
            told |= {"everywhere": rights, "by_detector": {}}
            assert signed.json() == told | {"sign_in": {"needed": False, "password": True, "oidc": False}}
            cookie = signed.headers["set-cookie"]
            for said in ("HttpOnly", "SameSite=Strict", "Path=/"):
                assert said in cookie
            token = cookie.partition("=")[2].partition(";")[0]
            client.cookies.clear()
            asks = {"cookie": f"penstock_session={token}"}
            assert (await client.get("/session", headers=asks)).json()["name"] == "ana"
            assert (await client.get("/stats", headers=asks)).status_code == 200
            assert (await client.post("/predict", headers=asks, content=b"{}")).status_code == 403
            left = await client.delete("/session", headers=asks)
            assert left.status_code == 200
            assert "Max-Age=0" in left.headers["set-cookie"]
            assert (await client.get("/stats", headers=asks)).status_code == 401

    run(scene())


def test_whoever_has_not_signed_in_is_told_how_and_a_wrong_key_is_refused(run, guarded, office):
    secret = key(office, "viewer")

    async def scene():
        async with guarded() as client:
            told = await client.get("/session", headers={"cookie": "penstock_session=gone"})
            assert (told.status_code, told.json()["name"], told.json()["rights"]) == (200, "", [])
            assert told.json()["sign_in"] == {"needed": True, "password": True, "oidc": False}
            assert (await client.get("/session", headers=bearer(secret))).json()["rights"] == ["read"]
            assert (await client.get("/session", headers=bearer(secret[:-1]))).status_code == 401

    run(scene())


@pytest.mark.parametrize("value", [b'"' + b"\\\\" * 100_000 + b'"', b'"' + b"\\012" * 50_000, b'"' * 200_000, b"a=;" * 70_000])
def test_a_cookie_is_read_in_linear_time_however_it_is_quoted(value):
    began = time.monotonic()
    assert cookie({b"cookie": b"penstock_session=" + value}) is None or b";" in value
    assert cookie({b"cookie": b"other=" + value + b"; penstock_session=token"}) == "token"
    assert cookie_named("penstock_oidc", b"penstock_oidc=" + value) is None or b";" in value
    assert time.monotonic() - began < 5, "one such cookie took http.cookies minutes"


@pytest.mark.parametrize("path", ["/health", "/session", "/stats", "/nowhere", "/session/oidc/callback"])
def test_no_route_reads_a_quoted_cookie_in_quadratic_time(run, guarded, path):
    async def scene():
        async with guarded() as client:
            for name in (b"penstock_session", b"penstock_oidc", b"other"):
                began = time.monotonic()
                headers = [(b"cookie", b"a=1"), (b"cookie", name + b'="' + b"\\\\" * 50_000 + b'"')]
                assert (await client.get(path, headers=headers)).status_code < 500
                assert time.monotonic() - began < 10, "it took FastAPI 30 seconds"

    run(scene())


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"penstock_session=abc", "abc"),
        (b'a="1;2"; penstock_session="abc" ; b', "abc"),
        (b"penstock_session=one; penstock_session=two", "two"),
        (b"xpenstock_session=abc", None),
        (b'{"json": true}; penstock_session=abc==', "abc=="),
        (b"penstock_session", None),
        (b"penstock_session=\xff", "\xff"),
        (b"", None),
    ],
)
def test_the_session_is_found_among_other_cookies(header, found):
    assert cookie({b"cookie": header}) == found


def test_behind_tls_the_cookie_is_for_tls_alone(run, guarded, office):
    Users(office).add("ana", PASSWORD, ["analyst"], who="test")

    async def scene():
        async with guarded() as client:
            given = {"name": "ana", "password": PASSWORD}
            plain = await client.post("/session", json=given)
            secure = await client.post("/session", json=given, headers={"x-forwarded-proto": "https"})
            assert ("Secure" in plain.headers["set-cookie"], "Secure" in secure.headers["set-cookie"]) == (False, True)

    run(scene())


def test_a_page_from_elsewhere_changes_nothing_in_a_session(run, guarded, office):
    Users(office).add("ana", PASSWORD, ["analyst"], who="test")

    async def scene():
        async with guarded() as client:
            given, elsewhere = {"name": "ana", "password": PASSWORD}, {"origin": "http://elsewhere.example"}
            assert (await client.post("/session", json=given, headers=elsewhere)).status_code == 403
            await client.post("/session", json=given)
            assert (await client.post("/labels", content=b"[]", headers=elsewhere)).status_code == 403
            assert (await client.post("/labels", content=b"[]", headers={"origin": "http://localhost"})).status_code != 403

    run(scene())


def test_what_is_wrong_with_a_sign_in_is_said_and_guessing_is_slowed_down(run, guarded, office, monkeypatch):
    Users(office).add("ana", PASSWORD, ["analyst"], who="test")
    monkeypatch.setattr("penstock.identity.users._fits", lambda _hashed, password: password == PASSWORD)

    async def scene():
        async with guarded(clock=standing()) as client:

            async def status(body):
                return (await client.post("/session", content=body)).status_code

            assert [await status(body) for body in (b"", b"{", b"[]", b"{}", b'"x"', b"\xff")] == [400, 400, 422, 422, 422, 400]
            assert await status(b" " * 10_000) == 413
            wrong = json.dumps({"name": "ana", "password": "wrong"}).encode()
            right = json.dumps({"name": "ana", "password": PASSWORD}).encode()
            assert [await status(wrong) for _ in range(4)] == [401] * 4
            assert await status(right) == 200
            assert [await status(wrong) for _ in range(5)] == [401] * 5
            limited = await client.post("/session", content=right)
            assert limited.status_code == 429
            assert int(limited.headers["retry-after"]) > 20

    run(scene())


def test_a_user_changes_their_password_which_ends_their_other_sessions(run, guarded, office):
    users = Users(office)
    users.add("ana", PASSWORD, ["analyst"], who="test")
    users.add("bob", PASSWORD, ["viewer"], who="test")
    elsewhere = {"cookie": f"penstock_session={users.sign_in('ana', PASSWORD)}"}
    of_bob = {"cookie": f"penstock_session={users.sign_in('bob', PASSWORD)}"}

    async def scene():
        async with guarded() as client:
            begun = await client.post("/session", json={"name": "ana", "password": PASSWORD})
            before = begun.headers["set-cookie"].partition(";")[0]
            client.cookies.clear()
            given = {"password": PASSWORD, "new_password": PASSWORD + " 2"}

            async def change(**body):
                return await client.put("/session/password", json=given | body, headers={"cookie": before})

            wrong = await change(password="wrong")
            assert (wrong.status_code, wrong.json()["detail"]) == (403, "The present password is wrong.")
            assert [(await change(new_password=each)).status_code for each in ("short", PASSWORD)] == [422, 422]
            assert (await client.put("/session/password", json=given)).status_code == 401
            foreign = {"cookie": before, "origin": "https://example.com"}
            assert (await client.put("/session/password", json=given, headers=foreign)).status_code == 403
            changed = await change()
            assert (changed.status_code, changed.json()["name"]) == (200, "ana")
            after = {"cookie": changed.headers["set-cookie"].partition(";")[0]}
            client.cookies.clear()
            asked = {"after": after, "before": {"cookie": before}, "elsewhere": elsewhere, "bob": of_bob}
            stays = {name: (await client.get("/stats", headers=each)).status_code for name, each in asked.items()}
            assert stays == {"after": 200, "before": 401, "elsewhere": 401, "bob": 200}

    run(scene())
    assert (users.sign_in("ana", PASSWORD), users.sign_in("ana", PASSWORD + " 2") is None) == (None, False)
    entries = audit.AuditLog(office).entries()
    assert [(each.who, each.subject) for each in entries if each.action == "users.password"] == [("ana", "users/ana")]
    assert PASSWORD not in repr(entries)


def test_a_stolen_session_cannot_guess_the_password_and_a_key_has_none(run, guarded, office, monkeypatch):
    Users(office).add("ana", PASSWORD, ["viewer"], who="test")
    monkeypatch.setattr("penstock.identity.users._fits", lambda _hashed, password: password == PASSWORD)
    headers = bearer(key(office, "viewer"))

    async def scene():
        async with guarded(clock=standing()) as client:
            await client.post("/session", json={"name": "ana", "password": PASSWORD})
            wrong = {"password": "wrong", "new_password": PASSWORD + " 2"}
            tried = [await client.put("/session/password", json=wrong) for _ in range(6)]
            assert [answer.status_code for answer in tried] == [403] * 5 + [429]
            assert int(tried[-1].headers["retry-after"]) > 20
            client.cookies.clear()
            with_key = await client.put("/session/password", json=wrong, headers=headers)
            assert with_key.status_code == 409
            oidc = {"cookie": f"penstock_session={Users(office).let_in('oidc:eve', ['viewer'], 'https://idp')}"}
            await client.access.refresh()
            assert (await client.put("/session/password", json=wrong, headers=oidc)).status_code == 409

    run(scene())


def test_sign_ins_are_counted_and_those_that_fail_are_in_the_security_log(run, guarded, office, monkeypatch, caplog):
    Users(office).add("ana", PASSWORD, ["viewer"], who="test")
    monkeypatch.setattr("penstock.identity.users._fits", lambda _hashed, password: password == PASSWORD)

    async def scene():
        async with guarded(clock=standing(), trusted_proxies="127.0.0.1") as client:
            wrong, forwarded = {"name": "ana", "password": "wrong"}, {"x-forwarded-for": "198.51.100.7"}
            tried = [await client.post("/session", json=wrong, headers=forwarded) for _ in range(6)]
            assert [answer.status_code for answer in tried] == [401] * 5 + [429]
            other = {"x-forwarded-for": "198.51.100.8"}
            signed_in = await client.post("/session", json={"name": "ana", "password": PASSWORD}, headers=other)
            assert signed_in.status_code == 200
            await client.post("/session", json={"name": "my secret", "password": ""}, headers=other)
            return (await client.get("/metrics")).text

    told = run(scene())
    for outcome, count in (("succeeded", 1), ("failed", 6), ("limited", 1)):
        assert f'penstock_sign_ins_total{{outcome="{outcome}",way="password"}} {count}.0' in told
    assert 'penstock_sign_ins_total{outcome="failed",way="oidc"} 0.0' in told
    lines = [json.loads(JsonLines().format(each)) for each in caplog.records if each.name == "penstock.security"]
    said = [(line["event"], line["address"], line.get("user")) for line in lines]
    failed = ("sign_in_failed", "198.51.100.7", "ana")
    limited, unknown = ("sign_in_limited", "198.51.100.7", None), ("sign_in_failed", "198.51.100.8", None)
    assert said == [*[failed] * 5, limited, unknown]
    assert "my secret" not in caplog.text


# ---------------------------------------------------------------- what lasts


def served(serve_in_thread, engine, database, access=None):
    settings = Settings()
    access = access or Access(database, settings, exposed=False)
    operating = ServiceHealth(settings, database)
    return serve_in_thread(
        create_app({"fake": MicroBatcher.of(engine, settings)}, settings, ServiceParts(access=access, operating=operating))
    )


def test_sockets_and_streams_need_a_key_and_end_when_it_does(run, serve_in_thread, engine, tmp_path, monkeypatch):
    """They end within two seconds, counted in looks, of which a slow machine makes no more."""
    database = SqliteDatabase(tmp_path / "office")
    keys = Keys(database)
    secret, made = keys.add("program", ["viewer"], who="test")
    other, _ = keys.add("program", ["decider"], who="test")
    access = Access(database, Settings(), exposed=False)
    looks, left, still = looks_of(access, monkeypatch), [], access.still_authorized

    def asked(scope):
        may = still(scope)
        if not may:
            left.append(len(looks))
        return may

    monkeypatch.setattr(access, "still_authorized", asked)

    async def refused(url, headers):
        with pytest.raises(websockets.InvalidStatus) as found:
            await websockets.connect(url, additional_headers=headers, open_timeout=60)
        return found.value.response.status_code

    async def scene(url):
        socket_url = url.replace("http", "ws") + "/ws/live"
        assert await refused(socket_url, {}) == 401
        assert await refused(socket_url, bearer(other)) == 403
        async with (
            websockets.connect(socket_url, additional_headers=bearer(secret), open_timeout=60) as socket,
            httpx.AsyncClient(base_url=url, timeout=60) as client,
        ):
            assert (await client.get("/live")).status_code == 401
            async with client.stream("GET", "/live", headers=bearer(secret)) as stream:
                assert stream.status_code == 200
                keys.revoke(made.id, who="test")
                before = len(looks)
                async for _ in stream.aiter_bytes():
                    pass
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    while True:
                        await socket.recv()
                assert closed.value.rcvd.code == 1008
                assert len(left) == 2
                assert (max(left) - before) * REFRESH_S < 2.0

    with served(serve_in_thread, engine, database, access) as url:
        run(scene(url))
    database.close()


@pytest.mark.slow
@pytest.mark.parametrize("role", [None, *ROLES])
def test_whatever_schemathesis_sends_in_a_role_no_route_is_more_open_than_the_table(
    serve_in_thread, make_engine, tmp_path, role
):
    database = SqliteDatabase(tmp_path / "office")
    headers = bearer(key(database, role)) if role else {}
    viewer = bearer(key(database, "viewer"))
    tried = set()
    with served(serve_in_thread, make_engine(), database) as url:
        schema = schemathesis.openapi.from_url(url + "/openapi.json", headers=viewer)
        for found in schema.get_all_operations():
            operation = found.ok()
            path = operation.path.replace("/fake/", "/{name}/")
            needed = next(
                right for (method, row), right in TABLE.items() if (method, plain(row)) == (operation.method.upper(), path)
            )
            may = needed == ANYBODY or bool(role and ROLES[role] & needed)
            tries = operation.path.endswith("/predict") and bool(role and ROLES[role] & Right.READ)
            send(operation, headers, may=may, tries=tries, refusal=403 if role else 401)
            tried.add(operation.method + path)
    database.close()
    assert len(tried) > 20


def plain(path):
    return path.replace(":path}", "}")


def send(operation, headers, *, may, tries, refusal):
    @hypothesis.settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(case=operation.as_strategy())
    def each(case):
        if "wait_seconds" in (case.query or {}):
            del case.query["wait_seconds"]
        status = case.call(headers=headers).status_code
        if any("%0A" in str(value) or "\n" in str(value) for value in (case.path_parameters or {}).values()):
            allowed = status not in {401, 403} if may else status == refusal
            assert allowed or status in {404, 401}  # a rest of a path takes no line break
        elif not may:
            assert status == refusal or (tries and status not in {401, 403} and "dry_run" in (case.query or {}))
        elif operation.path != "/session":
            assert status not in {401, 403}

    each()


# ---------------------------------------------------------------- what it costs


def test_an_open_service_looks_at_host_and_origin_and_not_at_routes(office):
    access = Access(office, Settings(), exposed=False)
    scope = {"type": "http", "headers": [(b"host", b"localhost")]}  # anything else that was read would be missing
    access.authorize(scope, hot=True)
    assert scope[ACTOR].name == "local"


def test_no_request_asks_the_database(office):
    secret = key(office, "decider")
    access = Access(office, Settings(), exposed=False)
    access.guard(Rights([], {}))
    access.credentials.keys_of = access.credentials.audit = access.credentials.people = None
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [(b"x-api-key", secret.encode())]}
    access.authorize(scope, hot=True)
    assert scope[ACTOR].roles == frozenset({"decider"})


def test_the_roles_of_the_table_are_the_ones_people_can_have():
    assert all(needed == ANYBODY or any(held & needed for held in ROLES.values()) for needed in TABLE.values())
    assert Right.DECIDE in TABLE["POST", "/predict"]
