"""Every command that speaks to a service shows its key; none of them tells it to anybody else."""

import pytest

from penstock.cli import run
from penstock.config import Settings
from penstock.database import SqliteDatabase
from penstock.identity.keys import Keys
from penstock.service import MicroBatcher, create_app
from penstock.service.access.authorize import Access
from penstock.service.app import ServiceParts


@pytest.fixture
def office():
    database = SqliteDatabase()
    yield database
    database.close()


@pytest.fixture
def closed(make_engine, office, key, serve_in_thread):  # the key first: the service knows it from the start
    """The address of a service that is called `banking`, and asks for a key."""
    settings = Settings()
    batcher = MicroBatcher.of(make_engine(name="banking"), settings)
    with serve_in_thread(
        create_app({"banking": batcher}, settings, ServiceParts(access=Access(office, settings, exposed=False)))
    ) as address:
        yield address


@pytest.fixture
def key(office):
    return Keys(office).add("program", ["decider", "analyst"], who="test")[0]


@pytest.fixture
def calls(tmp_path, closed):
    """What is to be called, by name."""
    events = tmp_path / "events.ndjson"
    events.write_text(
        '{"transaction_id": "a", "timestamp": "2026-02-06T10:00:00Z", "customer_id": "C1", "merchant_id": "Shop",'
        ' "amount": 5.0, "lat": 1.0, "long": 2.0}\n'
    )
    labels = tmp_path / "labels.csv"
    labels.write_text("transaction_id,fraud\na,true\n")
    return {
        "simulate": ["simulate", "banking", "--events", "3", "--to", closed],
        "send": ["send", "banking", str(events), "--to", closed],
        "loadtest": ["loadtest", "--base-url", closed, "--requests", "5", "--concurrency", "1"],
        "labels": ["labels", "import", str(labels), "--to", closed],
    }


@pytest.mark.parametrize("name", ["simulate", "send", "loadtest", "labels"])
def test_a_command_is_let_in_with_a_key_and_turned_away_without(calls, key, name, capfd, monkeypatch):
    assert run(calls[name]) == 1
    assert "401" in "".join(capfd.readouterr())
    assert run([*calls[name], "--key", key]) == 0
    monkeypatch.setenv("PENSTOCK_KEY", key)
    assert run(calls[name]) == 0
    assert run([*calls[name], "--key", "psk_wrong\r\nX-Other: 1"]) == 2
    said = "".join(capfd.readouterr())
    assert key not in said
    assert "psk_wrong" not in said
