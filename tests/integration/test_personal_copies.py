"""Personal values where decisions are copied to: PostgreSQL, the archive in an object store, the office on a server."""

import json
from datetime import datetime

import msgspec
import psycopg
import pytest

from penstock import Detector, Engine, Entity, Policy
from penstock.adapters.postgres import PostgresDatabase, PostgresLedger, create
from penstock.adapters.s3 import ArchiveSink, ObjectArchive
from penstock.audit import AuditLog
from penstock.engine import verify
from penstock.privacy.erasure import erase_person
from penstock.privacy.vault import Vault
from penstock.privacy.vault_writer import VaultWriter

CARD, EMAIL = "4111-7731-MARKED-0042", "marked.person@example.org"
SECRET = b"a secret of thirty-two bytes, ok"


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    card: str
    email: str


@pytest.fixture
def detector():
    customer, card = Entity("customer_id"), Entity("card")
    features = [customer.count("1h"), card.count("1d"), customer.last("email").named("email_before")]
    names = {"id": "transaction_id", "time": "timestamp", "personal": ["card", "email"]}
    return Detector(name="shop", event=Payment, features=features, policy=Policy(), **names)


def payments():
    for number in range(3):
        fields = {"transaction_id": f"t{number}", "timestamp": f"2026-02-06T10:00:0{number}Z", "customer_id": "C1"}
        yield json.dumps(fields | {"amount": 5.0, "card": CARD, "email": EMAIL}).encode()


def everything(url):
    """All that a database holds, as text; bytes as they are."""
    with psycopg.connect(url, autocommit=True) as db:
        tables = db.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert {"penstock", "penstock_office"} <= {schema for schema, _ in tables}
        return b"\n".join(
            part if isinstance(part, bytes) else str(part).encode()
            for schema, table in tables
            for row in db.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall()
            for part in row
        )


def test_copies_hold_tokens_and_sealed_values_that_nobody_can_read_after_an_erasure(postgres_url, bucket_url, detector):
    create(postgres_url)
    archive_url = bucket_url + "&region=us-east-1"
    office = PostgresDatabase(postgres_url)
    vault = Vault(office, SECRET)
    keeping = VaultWriter(vault)
    with PostgresLedger(postgres_url) as ledger:
        told = {"personal_key": SECRET, "on_personal": lambda said: keeping.enqueue("shop", said)}
        engine = Engine(detector, ledger=ledger, **told)
        engine.decide_json(list(payments()))
        ledger.flush()
        keeping.close()
        sink = ArchiveSink(archive_url, "shop", ledger, every_s=3600)
        sink.begin(1)
        sink.write(list(ledger.read()))
        sink.close()
        with ObjectArchive(archive_url) as archive:
            rows = archive.query("SELECT * FROM decisions").rows()
        assert len(rows) == 3
        assert not any(mark in str(rows) for mark in (CARD, EMAIL)), "the archive"
        columns = [str(record.columns) + str(record.meta) for _, record in ledger.read()]
        assert not any(mark in text for text in columns for mark in (CARD, EMAIL)), "records"
        assert not any(mark.encode() in everything(postgres_url) for mark in (CARD, EMAIL)), "tables"

        whose = engine.personal.whose("customer", "C1")
        tokens = [token for token in engine.personal.of("t1").tokens.values() if token]
        assert sorted(vault.values("shop", whose.person, tokens).values()) == sorted([CARD, EMAIL])
        copied = office.read("SELECT detector, person, token, sealed FROM vault_values")
        [(key,)] = office.read("SELECT sealed_key FROM vault_people")
        erased = erase_person(office, vault, "shop", *whose, who="ana", reason="asked for it")
        assert erased.values == 2
        with office.write() as transaction:  # a copy from before is played back
            for detector_name, person, token, sealed in copied:
                values = {"d": detector_name, "p": person, "t": token, "s": sealed}
                transaction.run("INSERT INTO vault_values VALUES (:d, :p, :t, :s)", values)
        assert vault.values("shop", whose.person, tokens) == {}
        assert key.encode() not in everything(postgres_url)
        assert AuditLog(office).verify() is None
        assert verify(ledger, detector, "t1", None).identical
    engine.close()
    office.close()
