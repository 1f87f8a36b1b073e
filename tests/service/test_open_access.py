"""An open service obeys programs on its machine and its own pages; its first key and user need the token that it printed."""

import asyncio
import contextlib
import re
import socket

import pytest
from tests.service import patient

from penstock.config import Settings
from penstock.database import SqliteDatabase
from penstock.identity.keys import Keys
from penstock.identity.users import Users
from penstock.service import MicroBatcher, create_app
from penstock.service.access.authorize import Access
from penstock.service.app import ServiceParts
from penstock.wiring.health import ServiceHealth

ROOT = {"name": "root", "roles": ["administrator"]}
ANA = ROOT | {"password": "correct horse battery"}
ELSEWHERE = ("http://elsewhere.example", "null", "http://localhost:1", "https://elsewhere.example:8000", "")


@pytest.fixture
def office():
    database = SqliteDatabase()
    yield database
    database.close()


@pytest.fixture
def opened(office, client_for, engine):
    """A client of an open service: `async with opened() as client`; client.access is its Access."""

    @contextlib.asynccontextmanager
    async def open_client(**options):
        settings = Settings(**options)
        access = Access(office, settings, exposed=False)
        async with client_for(engine, settings=settings, access=access, operating=ServiceHealth(settings, office)) as client:
            client.access = access
            yield client

    return open_client


def token_of(access):
    """The token, as whoever starts the service reads it."""
    return {"x-setup-token": re.search(r"setup token (\S+)", access.explain())[1]}


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "localhost.", "api.localhost:1", "127.0.0.1:8000", "127.8.9.10", "[::1]:8000", "[::1]"],
)
def test_programs_on_this_machine_are_answered(run, opened, payment, host):
    async def scene():
        async with opened() as client:
            for _ in range(2):
                assert (await client.post("/predict", content=payment(1), headers={"host": host})).status_code == 200

    run(scene())


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "localhost.evil.example", "10.1.2.3", "127.0.0.1.evil.example", "[::2]", "", "api"],
)
def test_another_host_is_refused_and_the_setting_named(run, opened, payment, host):
    async def scene():
        async with opened() as client:
            for method, path in (("POST", "/predict"), ("GET", "/stats"), ("GET", "/health"), ("GET", "/"), ("POST", "/keys")):
                refused = await client.request(method, path, content=payment(1), headers={"host": host})
                assert refused.status_code == 421
                assert "allowed_hosts" in refused.json()["detail"]
            metrics = (await client.get("/metrics")).text
            assert 'penstock_http_rejected_total{reason="host"} 5.0' in metrics

    run(scene())


def test_names_that_the_settings_allow_are_answered(run, opened):
    async def scene():
        async with opened(host="inside.example", allowed_hosts="api, Fraud.example:8000,[2001:db8::1]") as client:
            for host in ("api", "api:8000", "fraud.example", "inside.example:9", "[2001:db8::1]:8000", "localhost"):
                assert (await client.get("/stats", headers={"host": host})).status_code == 200, host
            two = [("host", "api"), ("host", "evil.example")]
            assert (await client.get("/stats", headers=two)).status_code == 421

    run(scene())


@pytest.mark.parametrize("origin", ELSEWHERE)
def test_a_page_from_elsewhere_changes_nothing(run, opened, office, payment, origin):
    async def scene():
        async with opened() as client:
            asks = {"origin": origin}
            for path in ("/predict", "/labels", "/events", "/transactions", "/stream", "/session"):
                assert (await client.post(path, content=payment(1), headers=asks)).status_code == 403, path
            made = await client.post("/keys", json=ROOT, headers=asks | token_of(client.access))
            assert made.status_code == 403
            assert (await client.request("DELETE", "/keys/x", headers=asks)).status_code == 403
            assert (await client.get("/stats", headers=asks)).status_code == 200, "reading it is up to the browser"
            own = {"origin": "http://localhost"}
            assert (await client.post("/predict", content=payment(1), headers=own)).status_code == 200

    run(scene())
    assert Keys(office).all() == []


@pytest.mark.parametrize("origin", [*ELSEWHERE, None])
def test_a_page_from_elsewhere_opens_no_socket(serve_in_thread, engine, office, origin):
    settings = Settings()
    parts = ServiceParts(access=Access(office, settings, exposed=False))
    with serve_in_thread(create_app({"fake": MicroBatcher.of(engine, settings)}, settings, parts)) as url:
        host, port = url.removeprefix("http://").split(":")
        head = f"GET /ws/live HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        head += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        head += "" if origin is None else f"Origin: {origin}\r\n"
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(head.encode() + b"\r\n")
            found = connection.recv(65536)
        assert found.startswith(b"HTTP/1.1 101 " if origin is None else b"HTTP/1.1 403 ")


@pytest.mark.parametrize(("path", "given"), [("/keys", ROOT), ("/users", ANA)])
def test_the_first_key_or_user_needs_the_token_that_was_printed(run, opened, office, path, given):
    async def scene():
        async with opened() as client:
            right = token_of(client.access)
            for wrong in (
                {},
                {"x-setup-token": ""},
                {"x-setup-token": right["x-setup-token"] + "x"},
                {"x-setup-token": b"\xe9"},
            ):
                refused = await client.post(path, json=given, headers=wrong)
                assert refused.status_code == 403
                assert "X-Setup-Token" in refused.json()["detail"]
            invalid = await client.post(path, json=given | {"roles": ["cook"]}, headers=right)
            assert invalid.status_code in {409, 422}, "which does not use it up"
            assert client.access.open
            made = await client.post(path, json=given, headers=right)
            assert made.status_code == 201
            assert not client.access.open
            again = await client.post(path, json=given | {"name": "other"}, headers=right)
            assert again.status_code == 401

    run(scene())


def test_of_many_who_show_the_token_at_once_one_is_served(run, opened, office):
    async def scene():
        async with opened() as client:
            right = token_of(client.access)
            users = [ANA | {"name": f"root{number}"} for number in range(5)]
            answers = await asyncio.gather(*(client.post("/users", json=user, headers=right) for user in users))
            assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]

    run(scene())
    assert len(Users(office).all()) == 1


def test_the_command_line_needs_no_token_and_a_closed_service_asks_for_keys_instead(run, opened, office, payment):
    async def scene():
        async with opened() as client:
            secret, _ = Keys(office).add("root", ["administrator"], who="test")
            await client.access.refresh()
            asks = {"authorization": f"Bearer {secret}"}
            assert (await client.post("/users", json=ANA, headers=asks)).status_code == 201
            assert (await client.get("/stats", headers=asks | {"host": "fraud.example"})).status_code == 200
            assert (await client.post("/predict", content=payment(1), headers={"host": "evil.example"})).status_code == 401

    run(scene())


def test_every_service_has_a_token_of_its_own(office):
    tokens = {Access(office, Settings(), exposed=False).explain() for _ in range(3)}
    assert len(tokens) == 3


def test_the_first_command_of_the_demo_needs_nothing(serve_in_thread, engine, office, payment):
    settings = Settings()
    parts = ServiceParts(access=Access(office, settings, exposed=False))
    with serve_in_thread(create_app({"fake": MicroBatcher.of(engine, settings)}, settings, parts)) as url:
        assert patient.post(url + "/predict", content=payment(1)).status_code == 200
