"""Users, keys and the log of changes over HTTP: who is let in, and that somebody can always let others in."""

import contextlib
import logging
import re

import pytest

from penstock.audit import AuditLog
from penstock.clock import system_clock
from penstock.config import Settings
from penstock.database import SqliteDatabase
from penstock.identity.keys import Keys
from penstock.identity.users import Users
from penstock.service.access.authorize import Access
from penstock.wiring.health import ServiceHealth

PASSWORD = "correct horse battery"
ADMIN = {"name": "root", "password": PASSWORD, "roles": ["administrator"]}


@pytest.fixture
def office():
    database = SqliteDatabase()
    yield database
    database.close()


@pytest.fixture
def administered(office, client_for, engine):
    """A client of a guarded service with an office: `async with administered() as client`."""

    @contextlib.asynccontextmanager
    async def open_client(*, as_root=True):
        settings = Settings()
        if as_root:
            secret, _ = Keys(office).add("root", ["administrator"], who="test")
        access = Access(office, settings, exposed=False)
        async with client_for(engine, settings=settings, access=access, operating=ServiceHealth(settings, office)) as client:
            if as_root:
                client.headers["authorization"] = f"Bearer {secret}"
            client.access = access
            yield client

    return open_client


def everything_kept(office):
    tables = [row[0] for row in office.read("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return repr([office.read(f"SELECT * FROM {table}") for table in tables])


def test_a_key_is_shown_once_opens_at_once_and_opens_nothing_once_it_is_revoked(run, administered, office):
    async def scene():
        async with administered() as client:
            made = await client.post("/keys", json={"name": "checkout", "roles": ["viewer"], "expires_in_days": 30})
            assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
            secret, key = made.json()["secret"], made.json()["key"]
            assert secret.startswith(f"psk_{key['id']}_")
            assert (key["state"], key["roles"], key["revoked_at"]) == ("valid", ["viewer"], None)
            asks = {"authorization": f"Bearer {secret}"}
            assert (await client.get("/stats", headers=asks)).status_code == 200
            assert (await client.get("/keys", headers=asks)).status_code == 403
            listed = (await client.get("/keys")).json()["keys"]
            assert [each["name"] for each in listed] == ["checkout", "root"]
            revoked = await client.delete(f"/keys/{key['id']}")
            assert (revoked.status_code, revoked.json()["state"]) == (200, "revoked")
            assert (await client.get("/stats", headers=asks)).status_code == 401
            assert (await client.delete(f"/keys/{key['id']}")).status_code == 404
            return secret

    assert run(scene()) not in everything_kept(office)


def test_a_user_is_added_changed_kept_out_and_let_in_again(run, administered, office):
    async def scene():
        async with administered() as client:
            given = {"name": "ana", "password": PASSWORD, "roles": ["viewer"]}
            added = await client.post("/users", json=given)
            assert (added.status_code, added.json()["roles"], added.json()["disabled"]) == (201, ["viewer"], False)
            assert (await client.post("/users", json=given)).status_code == 409
            signed = await client.post("/session", json={"name": "ana", "password": PASSWORD})
            assert signed.status_code == 200
            [ana] = (await client.get("/users")).json()["users"]
            assert (ana["name"], ana["sessions"]) == ("ana", 1)
            promoted = await client.patch("/users/ana", json={"roles": ["approver", "analyst"]})
            assert promoted.json()["roles"] == ["analyst", "approver"]
            assert promoted.json()["sessions"] == 1, "a change of roles ends nothing"
            out = await client.patch("/users/ana", json={"disabled": True})
            assert (out.json()["disabled"], out.json()["sessions"]) == (True, 0)
            assert (await client.post("/session", json={"name": "ana", "password": PASSWORD})).status_code == 401
            again = await client.patch("/users/ana", json={"disabled": False, "password": "another horse battery"})
            assert (again.json()["disabled"], again.json()["disabled_at"]) == (False, None)
            assert (await client.post("/session", json={"name": "ana", "password": PASSWORD})).status_code == 401
            assert (await client.post("/session", json={"name": "ana", "password": "another horse battery"})).status_code == 200

    run(scene())
    told = [entry.action for entry in AuditLog(office).entries(subject="users/ana") if entry.who == "key:root"]
    assert told[::-1] == [
        "users.add",
        "users.roles",
        "users.disable",
        "users.password",
        "users.enable",
    ]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 422),
        ({"roles": []}, 422),
        ({"roles": ["emperor"]}, 422),
        ({"password": "short"}, 422),
        ({"passwort": PASSWORD}, 422),
        ({"disabled": "yes"}, 422),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_has_changed(run, administered, office, change, status):
    Users(office).add("ana", PASSWORD, ["viewer"], who="test")

    async def scene():
        async with administered() as client:
            assert (await client.patch("/users/ana", json=change)).status_code == status
            assert (await client.patch("/users/nobody", json={"disabled": True})).status_code == 404

    run(scene())
    [ana] = Users(office).all()
    assert (ana.roles, ana.disabled_us) == (["viewer"], None)


def test_of_a_change_with_several_parts_all_or_nothing_holds(run, administered, office):
    Users(office).add("ana", PASSWORD, ["viewer"], who="test")

    async def scene():
        async with administered() as client:
            refused = await client.patch("/users/ana", json={"disabled": True, "password": PASSWORD, "roles": ["emperor"]})
            assert refused.status_code == 422

    run(scene())
    [ana] = Users(office).all()
    assert (ana.roles, ana.disabled_us) == (["viewer"], None)


@pytest.mark.parametrize("change", [{"disabled": True}, {"roles": ["analyst"]}])
def test_the_last_administrator_stays(run, administered, office, change):
    Users(office).add("root", PASSWORD, ["administrator"], who="test")
    Users(office).add("eve", PASSWORD, ["administrator"], who="test")
    people = Users(office)

    async def scene():
        async with administered() as client:
            [key] = (await client.get("/keys")).json()["keys"]
            assert (await client.patch("/users/eve", json=change)).status_code == 200
            assert (await client.delete(f"/keys/{key['id']}")).status_code == 200
            token = (await client.post("/session", json={"name": "root", "password": PASSWORD})).headers["set-cookie"]
            client.headers.pop("authorization")
            asks = {"cookie": token.partition(";")[0]}
            refused = await client.patch("/users/root", json=change, headers=asks)
            assert refused.status_code == 409
            assert "nobody would be left" in refused.json()["detail"]

    run(scene())
    left = [person.name for person in people.all() if person.roles == ["administrator"] and not person.disabled_us]
    assert left == ["root"]


def test_the_last_key_of_an_administrator_stays_also_beside_one_that_expires(run, administered, office):
    Keys(office).add("for.a.week", ["administrator"], expires_us=system_clock() + 7 * 86_400_000_000, who="test")

    async def scene():
        async with administered() as client:
            [key] = [each for each in (await client.get("/keys")).json()["keys"] if each["expires_at"] is None]
            assert (await client.delete(f"/keys/{key['id']}")).status_code == 409
            assert (await client.get("/keys")).status_code == 200

    run(scene())


def test_whoever_closes_an_open_service_leaves_an_administrator_in(run, administered):
    async def scene():
        async with administered(as_root=False) as client:
            client.headers["x-setup-token"] = re.search(r"setup token (\S+)", client.access.explain())[1]
            assert (await client.post("/keys", json={"name": "checkout", "roles": ["decider"]})).status_code == 409
            viewer = {"name": "ana", "password": PASSWORD, "roles": ["viewer"]}
            assert (await client.post("/users", json=viewer)).status_code == 409
            assert (await client.get("/session")).json()["open"] is True
            assert (await client.post("/users", json=ADMIN)).status_code == 201
            assert (await client.get("/session")).json()["sign_in"]["needed"] is True
            assert (await client.get("/users")).status_code == 401

    run(scene())


def test_no_secret_is_in_the_log_the_log_of_changes_or_an_answer_but_the_first(run, administered, office, caplog):
    caplog.set_level(logging.DEBUG)

    async def scene():
        async with administered() as client:
            secret = (await client.post("/keys", json={"name": "checkout", "roles": ["decider"]})).json()["secret"]
            await client.post("/users", json={"name": "ana", "password": PASSWORD, "roles": ["viewer"]})
            await client.patch("/users/ana", json={"password": "another horse battery"})
            refused = await client.post("/users", json={"name": "bo", "password": PASSWORD, "roles": [PASSWORD * 9]})
            answers = [(await client.get(path)).text for path in ("/keys", "/users", "/audit")]
            return secret, answers, refused.text

    secret, answers, _ = run(scene())
    kept = caplog.text + "".join(answers) + everything_kept(office)
    assert all(each not in kept for each in (secret, PASSWORD, "another horse battery"))


# ---------------------------------------------------------------- the log of changes


def test_the_log_of_changes_is_read_in_pages_and_narrowed(run, administered, office):
    async def scene():
        async with administered() as client:
            for number in range(5):
                await client.post("/keys", json={"name": f"k{number}", "roles": ["viewer"]})
            await client.post("/users", json={"name": "ana", "password": PASSWORD, "roles": ["viewer"]})
            await client.patch("/users/ana", json={"roles": ["analyst"]})

            async def page(**asked):
                found = await client.get("/audit", params=asked)
                assert found.status_code == 200, found.text
                return found.json()

            first = await page(limit=5)
            assert [entry["action"] for entry in first["entries"]] == ["users.roles", "users.add", *["keys.add"] * 3]
            assert first["entries"][0]["diff"] == [{"field": "roles", "before": ["viewer"], "after": ["analyst"]}]
            rest = await page(limit=5, before=first["next"])
            assert ([entry["seq"] for entry in rest["entries"]], rest["next"]) == ([3, 2, 1], None)
            assert len((await page(action="keys"))["entries"]) == 6
            assert len((await page(action="users.roles"))["entries"]) == 1
            assert len((await page(action="user"))["entries"]) == 0
            assert len((await page(actor="test"))["entries"]) == 1
            assert len((await page(subject="users/ana"))["entries"]) == 2
            newest = first["entries"][0]["at"]
            assert len((await page(to=newest))["entries"]) < 8
            assert (await page(**{"from": newest}))["entries"][0]["seq"] == 8
            assert (await client.get("/audit?from=yesterday")).status_code == 422

    run(scene())


def test_the_log_of_changes_is_checked_and_a_changed_entry_is_found(run, administered, office):
    async def scene():
        async with administered() as client:
            await client.post("/keys", json={"name": "k", "roles": ["viewer"]})
            whole = (await client.get("/audit/verify")).json()
            assert (whole["intact"], whole["entries"], whole["misfit"], whole["erased"]) == (True, 2, None, [])
            assert whole["head"] == (await client.get("/audit?limit=1")).json()["entries"][0]["hash"]
            with office.write() as transaction:
                transaction.run("UPDATE audit SET who = 'somebody else' WHERE seq = 1")
            broken = (await client.get("/audit/verify")).json()
            assert (broken["intact"], broken["misfit"]["seq"]) == (False, 1)

    run(scene())
