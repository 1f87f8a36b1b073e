"""Whose personal fields events hold: declared, or the first entity's; and what they said, handed on once."""

from datetime import datetime

import msgspec
import numpy as np
import polars as pl
import pytest

from penstock import Detector, Engine, Entity, Policy
from penstock.config import Settings
from penstock.database import SqliteDatabase
from penstock.errors import DeclarationError
from penstock.ingest import PREFIX
from penstock.privacy.vault import Vault
from penstock.privacy.vault_writer import VaultWriter
from penstock.wiring.streams import open_replica

SECRET = b"a secret of thirty-two bytes, ok"


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    user: str
    payer: str
    payee: str
    amount: float
    email: str | None = None


class Login(msgspec.Struct):
    timestamp: datetime
    user: str
    email: str | None = None


def declared(*features, personal=("email",), **options):
    return Detector(
        name="shop",
        event=Payment,
        id="transaction_id",
        time="timestamp",
        features=list(features),
        policy=Policy(),
        personal=personal,
        **options,
    )


def event(number, **more):
    fields = {"transaction_id": f"t{number}", "timestamp": "2026-02-06T10:00:00Z", "user": "U1", "payer": "A", "payee": "B"}
    return fields | {"amount": 1.0, "email": "ana@example.org"} | more


user, pair = Entity("user"), Entity("user", "payee")
account = Entity("account", roles={"sent": "payer", "received": "payee"})


def test_the_person_is_declared_or_that_of_the_first_entity_with_one_text():
    assert declared(user.count("1h")).person == "user"
    assert declared(pair.count("1h"), user.count("1h")).person == "user"
    assert declared(account.count("1h")).person == "payer"
    assert declared(user.count("1h"), person="payer").person == "payer"
    assert declared(user.count("1h"), personal=()).person is None
    assert declared().person is None


@pytest.mark.parametrize("person", ["nobody", "amount"])
def test_a_person_that_is_no_text_field_is_refused(person):
    with pytest.raises(DeclarationError, match=person):
        declared(user.count("1h"), person=person)


def test_a_person_whose_field_is_personal_is_known_by_the_same_token():
    kept = []
    engine = Engine(declared(user.count("1h"), personal=["user", "email"]), personal_key=SECRET, on_personal=kept.extend)
    engine.decide(event(1))
    token = engine.personal.key("user", "U1")
    assert token.startswith(PREFIX)
    assert {(person, value) for person, _, value in kept} == {(token, "U1"), (token, "ana@example.org")}
    assert engine.personal.whose("user", "U1") == engine.personal.whose("user", token) == ("user", token, token)
    assert engine.personal.of("t1") == (token, {"email": kept[0][1] if kept[0][2] != "U1" else kept[1][1], "user": token})
    assert engine.personal.of("t2") is None


def test_people_are_erased_as_an_entity_or_by_their_field_and_as_nothing_else():
    engine = Engine(declared(account.count("1h"), user.count("1h")), personal_key=SECRET)
    assert engine.personal.whose("account", "A") == engine.personal.whose("payer", "A")
    assert engine.personal.whose("account", "A").entity == "account"
    with pytest.raises(DeclarationError, match="not 'user'"):
        engine.personal.whose("user", "U1")
    with pytest.raises(DeclarationError, match="no personal fields"):
        Engine(declared(user.count("1h"), personal=())).personal.whose("user", "U1")


def test_informing_events_and_loaded_history_are_kept_too():
    kept = []
    detector = declared(user.count("1h"), user.count("1h", of=Login).named("logins"), informs=[Login])
    engine = Engine(detector, personal_key=SECRET, on_personal=kept.extend)
    engine.inform({"type": "Login", "timestamp": "2026-02-06T10:00:00Z", "user": "U7", "email": "bo@example.org"})
    frame = pl.DataFrame([event(2, email="eva@example.org")])
    engine.load(engine.reader.read_frame(frame))
    assert [value for _, _, value in kept] == ["bo@example.org", "eva@example.org"]


def test_nothing_is_remembered_where_nobody_keeps_it():
    engine = Engine(declared(user.count("1h")), personal_key=SECRET)
    engine.decide(event(1))
    assert engine.reader.said == {}


def test_what_is_remembered_of_a_value_is_forgotten_with_the_next_events():
    engine = Engine(declared(user.count("1h")), personal_key=SECRET, on_personal=lambda _said: None)
    engine.decide(event(1))
    assert list(engine.reader.said.values()) == ["ana@example.org"]
    engine.decide(event(2, email=None))
    assert engine.reader.said == {}


def test_a_worker_keeps_what_comes_through_a_broker(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    database = SqliteDatabase()
    vault = Vault(database, SECRET)
    keeping = VaultWriter(vault)
    settings = Settings(data=tmp_path / "data", personal_key_file=secret)
    replica = open_replica(declared(user.count("1h")), settings, [tmp_path / "data"], keeping=keeping)
    body = msgspec.json.encode(event(1))
    replica.engine.take_json([body], np.array([1_770_000_000_000_000]))
    keeping.close()
    person = replica.engine.personal.whose("user", "U1").person
    [(token,)] = database.read("SELECT token FROM vault_values")
    assert vault.values("shop", person, [token]) == {token: "ana@example.org"}
    replica.close()
    database.close()
