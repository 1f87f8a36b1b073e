"""Users, sessions and keys: what is kept of a secret, who is let in, and that every change is noted."""

import io
import json

import pytest

from penstock.audit import AuditLog
from penstock.cli import run
from penstock.database import SqliteDatabase, open_office
from penstock.errors import Conflict, MalformedEvent, NotFound
from penstock.identity.keys import Keys, id_of
from penstock.identity.roles import ROLES, Right, rights
from penstock.identity.users import SESSION_US, Users

GOOD = "correct horse battery"


class At:
    now = 1_000_000_000

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return At()


@pytest.fixture
def database():
    made = SqliteDatabase()
    yield made
    made.close()


@pytest.fixture
def people(database, clock):
    return Users(database, clock)


@pytest.fixture
def keys(database, clock):
    return Keys(database, clock)


def everything(database):
    tables = [row[0] for row in database.read("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return repr([database.read(f"SELECT * FROM {table}") for table in tables])


def test_a_password_is_kept_as_argon2id_with_64_mib_and_nowhere_else(people, database):
    people.add("ana", GOOD, ["viewer"], who="local")
    [(kept,)] = database.read("SELECT password FROM people")
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert GOOD not in everything(database)


@pytest.mark.parametrize("password", ["", "elevenchars", "x" * 1025])
def test_a_password_that_is_too_short_or_endless_is_refused(people, password):
    with pytest.raises(MalformedEvent, match="12 to 1024"):
        people.add("ana", password, ["viewer"], who="local")
    assert people.all() == []


@pytest.mark.parametrize("name", ["file", "FILE", "file.", "local", "System", "guard", "registry", "service"])
def test_nobody_is_called_what_the_program_is_called(people, database, name):
    with pytest.raises(MalformedEvent, match="is reserved"):
        people.add(name, GOOD, ["viewer"], who="local")
    with pytest.raises(MalformedEvent, match="is reserved"):
        Keys(database).add(name, ["viewer"], who="local")


@pytest.mark.parametrize("name", ["", "local", "a b", "-a", "key:a", "a" * 101])
def test_a_name_that_could_be_taken_for_something_else_is_refused(people, name):
    with pytest.raises(MalformedEvent):
        people.add(name, GOOD, ["viewer"], who="local")


def test_a_role_that_is_not_there_is_named(people):
    with pytest.raises(MalformedEvent, match="Did you mean viewer"):
        people.add("ana", GOOD, ["viewr"], who="local")


def test_a_name_is_given_once(people):
    people.add("ana", GOOD, ["viewer"], who="local")
    with pytest.raises(Conflict):
        people.add("ana", GOOD, ["administrator"], who="local")
    assert [person.roles for person in people.all()] == [["viewer"]]


def test_a_session_ends_by_signing_out_and_with_its_time(people, clock):
    people.add("ana", GOOD, ["viewer"], who="local")
    first, second = people.sign_in("ana", GOOD), people.sign_in("ana", GOOD)
    people.sign_out(first)
    assert len(people.sessions()) == 1
    clock.now += SESSION_US
    assert people.sessions() == []
    assert second not in repr(people.sessions())


@pytest.mark.parametrize("change", ["set_password", "disable"])
def test_sessions_end_with_the_password_and_with_the_user(people, change):
    people.add("ana", GOOD, ["viewer"], who="local")
    people.sign_in("ana", GOOD)
    people.set_password("ana", "another password", who="bo") if change == "set_password" else people.disable("ana", who="bo")
    assert people.sessions() == []
    assert people.sign_in("ana", GOOD) is None


def test_other_roles_hold_in_a_session_that_runs(people):
    people.add("ana", GOOD, ["viewer"], who="local")
    people.sign_in("ana", GOOD)
    people.change("ana", roles=["approver"], who="local")
    assert [session.roles for session in people.sessions()] == [["approver"]]


def test_a_name_that_nobody_has_costs_what_a_wrong_password_costs(people, monkeypatch):
    from penstock.identity import users as module

    asked = []
    monkeypatch.setattr(module, "_fits", lambda hashed, password: asked.append(hashed) is not None)
    assert people.sign_in("nobody", GOOD) is None
    assert asked[0].startswith("$argon2id$")


def test_only_a_hash_of_a_key_and_of_a_session_is_kept(people, keys, database):
    secret, _ = keys.add("checkout", ["decider"], who="local")
    people.add("ana", GOOD, ["viewer"], who="local")
    token = people.sign_in("ana", GOOD)
    kept = everything(database)
    assert secret not in kept
    assert secret.split("_", 2)[2] not in kept
    assert token not in kept


def test_a_key_is_valid_until_it_expires_or_is_revoked(keys, clock):
    _, lasting = keys.add("a", ["viewer"], who="local")
    _, short = keys.add("b", ["viewer"], expires_us=clock.now + 5, who="local")
    assert {key.id for key, _ in keys.valid()} == {lasting.id, short.id}
    clock.now += 5
    assert {key.id for key, _ in keys.valid()} == {lasting.id}
    keys.revoke(lasting.id, who="local")
    assert keys.valid() == []
    assert [key.revoked_us for key in keys.all() if key.id == lasting.id] == [clock.now]
    for gone in (lasting.id, "nothing"):
        with pytest.raises(NotFound):
            keys.revoke(gone, who="local")
    with pytest.raises(MalformedEvent, match="expired already"):
        keys.add("c", ["viewer"], expires_us=clock.now, who="local")


def test_a_key_shows_its_id(keys):
    secret, key = keys.add("a", ["viewer"], who="local")
    assert id_of(secret) == key.id
    assert [id_of(other) for other in ("", "psk_", secret[:-1], secret + "x", secret.upper())] == [None] * 5


def test_every_change_is_in_the_audit_log_and_no_secret_is(people, keys, database):
    people.add("ana", GOOD, ["viewer"], who="root")
    people.change("ana", roles=["analyst"], who="root")
    people.set_password("ana", "another password", who="root")
    token = people.sign_in("ana", "another password")
    people.sign_out(token)
    people.disable("ana", who="root")
    secret, key = keys.add("a", ["viewer"], who="root")
    keys.revoke(key.id, who="root")
    log = AuditLog(database)
    assert [entry.action for entry in log.entries()][::-1] == [
        "users.add",
        "users.roles",
        "users.password",
        "sessions.begin",
        "sessions.end",
        "users.disable",
        "keys.add",
        "keys.revoke",
    ]
    assert log.verify() is None
    for hidden in (GOOD, "another password", token, secret):
        assert hidden not in repr(log.entries())


def test_no_role_but_the_administrator_may_administer_and_only_deciders_decide():
    assert [role for role in ROLES if Right.ADMINISTER in rights([role])] == ["administrator"]
    assert [role for role in ROLES if Right.DECIDE in rights([role])] == ["decider"]
    assert not rights(["of a later version"])


def test_users_and_keys_by_command(tmp_path, monkeypatch, capsys):
    data = ["--data", str(tmp_path)]

    def told(*arguments, code=0, stdin=""):
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        assert run([*arguments, *data]) == code
        return capsys.readouterr()

    told("users", "add", "ana", "--role", "analyst", "--password-stdin", stdin=GOOD + "\n")
    assert "psk_" not in told("users", "list").out
    made = json.loads(told("keys", "add", "checkout", "--role", "decider", "--expires", "90d", "--json").out)
    assert {"secret", "key"} == made.keys()
    assert {"id", "name", "roles", "created_us", "expires_us"} <= made["key"].keys()  # as docs/guide/access.md says
    shown = told("keys", "list")
    assert made["key"]["id"] in shown.out
    assert made["secret"] not in shown.out + shown.err
    told("keys", "revoke", made["key"]["id"])
    assert "revoked at" in told("keys", "list").out
    told("users", "password", "ana", "--password-stdin", stdin="another password\n")
    changed = told("users", "roles", "ana", "--role", "viewer", "--role", "analyst:card")
    assert "ana has the roles analyst:card, viewer from now on" in changed.out
    assert "analyst:card, viewer" in told("users", "list").out
    assert "there is no role 'boss'" in told("users", "roles", "ana", "--role", "boss", code=2).err
    told("users", "disable", "ana")
    assert "disabled at" in told("users", "list").out
    assert "no user 'bob'" in told("users", "disable", "bob", code=1).err
    assert "no role 'boss'" in told("users", "add", "bob", "--role", "boss", "--password-stdin", code=2).err
    assert (tmp_path / "office.sqlite").stat().st_mode & 0o777 == 0o600
    with open_office(tmp_path) as database:
        assert len(AuditLog(database).entries()) == 6
