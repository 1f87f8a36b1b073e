"""Who is known is what the database says last, however slowly somebody else reads it."""

import threading

from penstock.database import SqliteDatabase
from penstock.identity.keys import Keys
from penstock.identity.users import Users
from penstock.service.access.credentials import CredentialCache


def test_a_slow_look_never_brings_back_a_key_that_was_revoked_meanwhile(tmp_path, monkeypatch):
    database = SqliteDatabase(tmp_path / "office")
    keys = Keys(database)
    secret, made = keys.add("program", ["viewer"], who="test")
    credentials = CredentialCache(database, lambda: 0, None, None)
    keys.add("another", ["viewer"], who="test")  # so that there is something to look at
    has_read, revoked = threading.Event(), threading.Event()
    read = credentials.keys_of.valid

    def slowly():
        found = list(read())
        if not has_read.is_set():
            has_read.set()
            revoked.wait(0.5)  # the other look may not overtake, so nobody can wait for it for ever
        return found

    monkeypatch.setattr(credentials.keys_of, "valid", slowly)
    slow = threading.Thread(target=credentials.refresh)
    slow.start()
    assert has_read.wait(60)
    keys.revoke(made.id, who="test")
    credentials.refresh()
    revoked.set()
    slow.join(60)
    assert credentials.by_key(secret, 0) is None


def test_a_user_of_an_earlier_version_whose_name_is_reserved_now_acts_under_another():
    database = SqliteDatabase()
    people = Users(database)
    people.add("ana", "correct horse battery", ["rule_author"], who="local")
    with database.write() as transaction:
        transaction.run("UPDATE people SET name = 'file' WHERE name = 'ana'")
    token = people.sign_in("file", "correct horse battery")
    credentials = CredentialCache(database, lambda: 0, None, None)
    assert credentials.by_session(token, 0).actor.name == "user:file"
