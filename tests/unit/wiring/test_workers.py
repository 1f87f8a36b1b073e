"""How workers and their stores fare, asked where they answer."""

import socket

import pytest

from penstock.adapters import worker_health
from penstock.wiring.workers import parts_of_workers
from penstock.worker.monitor import Monitor

OWNER = {
    "shard": 0,
    "owner": True,
    "trouble": None,
    "fence": 7,
    "position": 20,
    "lag": 3,
    "events": 100,
    "sinks": {"postgres": {"behind": 0, "trouble": None}, "redis": {"behind": 12, "trouble": "nobody answers"}},
}
STANDBY = {"shard": 0, "owner": False, "trouble": None, "fence": 7, "position": 19}


@pytest.fixture
def answering(monkeypatch):
    """Lets a worker of this status answer; its address."""
    monkeypatch.setattr(worker_health, "_WITHIN_S", 60.0)
    monitors = []

    def answer(*shards):
        monitors.append(Monitor(lambda: list(shards), "mine", "127.0.0.1", 0))
        return f"127.0.0.1:{monitors[-1].port}"

    yield answer
    for monitor in monitors:
        monitor.close()


def by_name(addresses):
    return {part.name: part for part in parts_of_workers(addresses)}


def test_the_owner_its_stores_and_who_stands_by_are_seen(answering):
    owner, standby = answering(OWNER), answering(STANDBY)
    found = by_name([owner, standby])
    assert (found[f"worker: {owner}"].status, found[f"worker: {owner}"].lag_events) == ("ok", 3)
    assert "owner 7" in found[f"worker: {owner}"].text
    assert found["store: postgres"].status == "ok"
    assert (found["store: redis"].status, "nobody answers; 12 records" in found["store: redis"].text) == ("failed", True)
    assert (found["standby"].status, standby in found["standby"].text) == ("ok", True)


def test_a_worker_with_trouble_is_seen_with_it_and_nobody_to_take_over(answering):
    address = answering(STANDBY | {"trouble": "the broker does not answer"})
    found = by_name([address])
    assert found[f"worker: {address}"].status == "failed"
    assert found[f"worker: {address}"].text == "shard 0: the broker does not answer"
    assert found["standby"].status == "absent"


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:99999999", ":8000", "no host at all:80"])
def test_an_address_where_nobody_answers_is_said(address):
    assert by_name([address])[f"worker: {address}"].status == "failed"


def test_what_is_no_worker_is_said():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert "does not answer" in by_name([address])[f"worker: {address}"].text
