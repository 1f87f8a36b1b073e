"""The stores beside a worker hold every decision once, whatever happens to it or to them."""

import os
import random
import threading
import time

import psycopg
import pytest

from penstock.adapters.postgres import create, status
from penstock.adapters.s3 import ObjectArchive
from tests.integration import crash_worker
from tests.integration.behind import Behind, WorkerProcess
from tests.waiting import wait_until

ROUNDS = int(os.environ.get("PENSTOCK_CRASH_ROUNDS", "20"))


@pytest.fixture
def behind(redis_url):
    """The topics of the crash detector, empty."""
    found = Behind(redis_url, "crash")
    yield found
    found.close()


@pytest.fixture
def stores(postgres_url, bucket_url, monkeypatch):
    """The database and the archive that workers write to: their URLs."""
    create(postgres_url)
    for name, value in (("LEDGER", postgres_url), ("ARCHIVE", bucket_url), ("ARCHIVE_EVERY_S", "0.5")):
        monkeypatch.setenv(f"PENSTOCK_{name}", value)
    return postgres_url, bucket_url


@pytest.fixture
def worker(behind, tmp_path):
    """Starts workers; all of them have ended when the test ends."""
    started = []

    def start():
        started.append(WorkerProcess(crash_worker.__file__, behind.url, tmp_path / "w"))
        return started[-1]

    yield start
    for process in started:
        process.end()


def in_database(url):
    with psycopg.connect(url) as db:
        rows = db.execute("SELECT transaction_id, decision, features FROM penstock.decisions ORDER BY seq").fetchall()
    return [{"transaction_id": id_, "decision": decision, "features": features} for id_, decision, features in rows]


def in_archive(url):
    with ObjectArchive(url) as archive:
        return shown(archive.query("SELECT * FROM decisions ORDER BY seq").to_dicts(), "transaction_id", "decision")


def labelled_in_archive(url):
    with ObjectArchive(url) as archive:
        return archive.query("SELECT transaction_id FROM labels")["transaction_id"].to_list()


def shown(decisions, *names):
    return [{name: decision[name] for name in names} for decision in decisions]


def check(behind, stores, count):
    """Both stores come to hold what the broker shows."""
    database, archive = stores
    wait_until(lambda: len(in_database(database)) >= count)
    wait_until(lambda: len(in_archive(archive)) >= count)
    decisions = behind.read("decisions")
    assert len({decision["transaction_id"] for decision in decisions}) == count
    assert in_database(database) == shown(decisions, "transaction_id", "decision", "features")
    assert in_archive(archive) == shown(decisions, "transaction_id", "decision")


def test_both_stores_hold_what_was_decided(behind, stores, worker):
    events = crash_worker.events(1_500)
    behind.put("transactions", events)
    process = worker()
    wait_until(lambda: len(behind.bodies("decisions")) == len(events))
    behind.put("labels", [{"transaction_id": "tx7", "fraud": True, "source": "bank"}])
    check(behind, stores, len(events))
    with psycopg.connect(stores[0]) as db:
        wait_until(lambda: db.execute("SELECT fraud FROM penstock.labels WHERE transaction_id = 'tx7'").fetchall() == [(True,)])
    wait_until(lambda: labelled_in_archive(stores[1]) == ["tx7"])
    assert process.stop() == 0
    assert labelled_in_archive(stores[1]) == ["tx7"]
    assert list(status(stores[0]).logs) == ["crash"]


@pytest.mark.slow
def test_neither_loses_nor_doubles_anything_while_workers_are_killed(behind, stores, worker):
    chance = random.Random(5)
    events = crash_worker.events(200 * ROUNDS)
    for round_ in range(ROUNDS):
        behind.put("transactions", events[200 * round_ : 200 * (round_ + 1)])
        process = worker()
        before = len(behind.bodies("decisions"))
        wait_until(lambda process=process, before=before: process.owns or len(behind.bodies("decisions")) > before)
        time.sleep(chance.uniform(0, 1.5))
        process.kill()
    worker()
    wait_until(lambda: len(behind.bodies("decisions")) >= len(events))
    check(behind, stores, len(events))


@pytest.mark.slow
def test_stores_that_stop_hold_nothing_up_and_catch_up_by_themselves(behind, stores, worker, postgres, s3):
    events = crash_worker.events(100_000)
    process = worker()
    wait_until(lambda: process.owns)
    sent, ending = [0], threading.Event()

    def feed():
        while not ending.wait(0.2):
            behind.put("transactions", events[sent[0] : sent[0] + 100])
            sent[0] += 100

    feeding = threading.Thread(target=feed)
    feeding.start()
    try:
        wait_until(lambda: len(behind.bodies("decisions")) > 500)
        postgres.kill()
        s3.stop()
        before = len(behind.bodies("decisions"))
        wait_until(lambda: len(behind.bodies("decisions")) > before + 1_000, 60)
        postgres.start()
        s3.start()
    finally:
        ending.set()
        feeding.join()
    wait_until(lambda: len(behind.bodies("decisions")) == sent[0])
    check(behind, stores, sent[0])
