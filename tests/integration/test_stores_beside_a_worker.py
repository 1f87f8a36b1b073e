"""The stores beside a worker hold every decision once, whatever happens to it or to them."""

import os
import random
import signal
import threading
import time
import urllib.request
from pathlib import Path

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

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


def store_processes(worker):
    """The numbers of the processes that feed the stores of a worker."""
    children = Path(f"/proc/{worker.process.pid}/task").glob("*/children")
    return [int(number) for found in children for number in found.read_text().split()]


def runs(number):
    """Whether a process runs."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def metric(worker, name, sink):
    """A worker's metric about one of its stores."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=60) as answer:
        families = {each.name: each for each in text_string_to_metric_families(answer.read().decode())}
    return next(sample.value for sample in families[name].samples if sample.labels["sink"] == sink)


def test_a_process_of_stores_that_is_killed_is_started_again_and_nothing_is_lost_or_doubled(behind, stores, worker):
    events = crash_worker.events(6_000)
    process, killed = worker(), []
    wait_until(lambda: process.owns)
    for round_ in range(4):
        behind.put("transactions", events[1_500 * round_ : 1_500 * (round_ + 1)])
        wait_until(lambda round_=round_: len(in_database(stores[0])) > 1_500 * round_)
        [number] = wait_until(lambda: [each for each in store_processes(process) if each not in killed])
        os.kill(number, signal.SIGKILL)
        killed.append(number)
    check(behind, stores, len(events))
    wait_until(lambda: [each["trouble"] for each in process.status()["sinks"].values()] == [None, None])
    assert process.status()["fence"] == 1
    assert process.stop() == 0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_process_of_stores_ends_with_its_worker(how, behind, stores, worker):
    process = worker()
    wait_until(lambda: process.owns)
    behind.put("transactions", crash_worker.events(20))
    wait_until(lambda: len(in_database(stores[0])) == 20)
    [number] = store_processes(process)
    os.kill(number, signal.SIGTERM)  # which a terminal, or a container that stops, may send to all
    process.send(how)
    process.process.wait(120)
    wait_until(lambda: not runs(number))


def test_a_store_that_is_away_holds_up_no_decision_and_its_lag_is_a_metric_and_an_alert(
    behind, stores, worker, postgres, tmp_path, monkeypatch
):
    (tmp_path / "alerts.toml").write_text(
        '[[alerts]]\nname = "stores_lag"\nkind = "gauge"\nmetric = "stores_lag_s"\nmore_than = 3'
    )
    monkeypatch.setenv("PENSTOCK_ALERTS", str(tmp_path / "alerts.toml"))
    events = crash_worker.events(3_000)
    process = worker()
    wait_until(lambda: process.owns)
    behind.put("transactions", events[:100])
    wait_until(lambda: len(in_database(stores[0])) == 100)
    postgres.kill()
    try:
        for start in range(100, 3_000, 100):
            behind.put("transactions", events[start : start + 100])
            wait_until(lambda stop=start + 100: len(behind.bodies("decisions")) == stop)
        wait_until(lambda: process.status()["sinks"]["postgres"]["trouble"])
        assert metric(process, "penstock_sink_up", "postgres") == 0
        assert metric(process, "penstock_sink_behind_records", "postgres") > 0
        assert metric(process, "penstock_sink_behind_seconds", "postgres") > 0
        wait_until(lambda: metric(process, "penstock_sink_behind_seconds", "archive") == 0)
        wait_until(lambda: "stores_lag" in {alert["rule"] for alert in behind.read("alerts")})
    finally:
        postgres.start()
    check(behind, stores, len(events))
    wait_until(lambda: metric(process, "penstock_sink_behind_seconds", "postgres") == 0)


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
