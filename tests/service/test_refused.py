"""What a service beside a worker refuses is handed on, so much of it within a second, and masked."""

import msgspec
import pytest

from penstock import Engine
from penstock.errors import BrokerError
from penstock.ledger import Quarantined
from penstock.messages import Refusal
from penstock.service.decide import broker_client
from penstock.service.decide.broker_client import RefusedForwarder
from penstock.testing import example_detector

REFUSAL = Refusal(422, "amount is missing", (("amount", "is missing"),))


@pytest.fixture
def engine():
    with Engine(example_detector()) as made:
        yield made


def test_of_a_flood_so_much_a_second_is_handed_on_and_the_rest_is_counted(engine, monkeypatch):
    now = [100.2]
    monkeypatch.setattr(broker_client.time, "monotonic", lambda: now[0])
    put = []
    handing = RefusedForwarder(lambda *message: put.append(message))
    for _ in range(250):
        handing.enqueue(engine, b'{"card": "4111 1111 1111 1111"}', REFUSAL)
    assert (len(put), engine.totals.quarantined, engine.totals.quarantine_lost) == (100, 250, 150)
    now[0] += 1
    handing.enqueue(engine, b"x" * 100_000, REFUSAL)
    assert len(put) == 101
    role, key, body = put[0]
    kept = msgspec.json.decode(body, type=Quarantined)
    assert (role, key, kept.cause, kept.field) == ("answers", engine.detector.name, "amount is missing", "amount")
    assert kept.body == b'{"card": "**** **** **** 1111"}'
    assert len(msgspec.json.decode(put[100][2], type=Quarantined).body) == 4096


def test_what_the_broker_does_not_take_is_counted(engine):
    def refuse(*_message):
        raise BrokerError("too much waits already")

    RefusedForwarder(refuse).enqueue(engine, b"{", REFUSAL)
    assert (engine.totals.quarantined, engine.totals.quarantine_lost) == (1, 1)
