"""Every server stops for a while under load and starts again: the worker waits or goes on, and nothing is lost."""

import json
import os
import threading
import time
import urllib.request

import psycopg
import pytest
import redis as redis_client

from penstock.adapters.postgres import create
from penstock.adapters.s3 import ObjectArchive
from tests.integration import crash_worker
from tests.integration.behind import Behind, WorkerProcess, assert_same, embedded
from tests.waiting import wait_until

SECONDS = float(os.environ.get("PENSTOCK_OUTAGE_S", "20"))
PER_SECOND = 150


@pytest.mark.slow
def test_each_server_in_turn(
    kafka, redis, postgres, s3, topic_prefix, redis_url, postgres_url, bucket_url, tmp_path, monkeypatch
):
    create(postgres_url)
    monkeypatch.setenv("PENSTOCK_ARCHIVE_EVERY_S", "0.5")
    behind = Behind(f"{kafka.url}/{topic_prefix.rstrip('.')}", "crash")
    stores = ["--ledger", postgres_url, "--redis", redis_url, "--archive", bucket_url]
    worker = WorkerProcess(crash_worker.__file__, behind.url, tmp_path / "w", *stores)
    events = crash_worker.events(200_000)
    sent, ending = [0], threading.Event()

    def feed():
        while not ending.is_set():
            behind.put("transactions", events[sent[0] : sent[0] + 30])
            sent[0] += 30
            time.sleep(30 / PER_SECOND)

    feeding = threading.Thread(target=feed)
    try:
        wait_until(lambda: worker.owns)
        feeding.start()
        for server, store in ((postgres, "postgres"), (redis, "redis"), (s3, "archive"), (kafka, None)):
            wait_until(
                lambda: all(
                    each["behind"] < 50 for each in (worker.status() or {"sinks": {"": {"behind": 99}}})["sinks"].values()
                )
            )
            server.stop()
            before = sent[0]
            time.sleep(SECONDS)
            wait_until(lambda server_of=store, count=before: _as_it_should(worker.status(), server_of, count))
            server.start()
            wait_until(lambda: sent[0] > before + PER_SECOND)
        ending.set()
        feeding.join()
        wait_until(lambda: len(behind.bodies("decisions")) >= sent[0])
        assert_same(behind.read("decisions"), embedded(crash_worker.detector, events[: sent[0]]))
        with psycopg.connect(postgres_url) as db:
            counted = "SELECT count(*), count(DISTINCT transaction_id) FROM penstock.decisions"
            wait_until(lambda: db.execute(counted).fetchone() == (sent[0], sent[0]))
        with redis_client.Redis.from_url(redis_url) as client:
            wait_until(lambda: sum(1 for _ in client.scan_iter("penstock:crash:decision:*", 10_000)) == sent[0])
        wait_until(lambda: _archived(bucket_url) == (sent[0], sent[0]), every_s=1.0)
    finally:
        ending.set()
        feeding.join() if feeding.ident else None
        worker.end()
        behind.close()


def _as_it_should(status, store, before):
    """Whether a worker decides on, more than before, and says which store is away; without its broker (None) it waits."""
    if status is None:
        return False
    if store is None:
        return "does not answer" in (status["trouble"] or "")
    return status["trouble"] is None and status["sinks"][store]["trouble"] is not None and status["events"] > before


def _archived(url):
    with ObjectArchive(url) as archive:
        return archive.query("SELECT count(*) AS n, count(DISTINCT transaction_id) AS ids FROM decisions").row(0)


@pytest.mark.slow
def test_a_worker_says_that_it_is_not_ready_while_its_broker_is_away(kafka, topic_prefix, tmp_path):
    behind = Behind(f"{kafka.url}/{topic_prefix.rstrip('.')}", "crash")
    worker = WorkerProcess(crash_worker.__file__, behind.url, tmp_path / "w")
    try:
        wait_until(lambda: worker.owns)
        wait_until(lambda: _ready(worker) == 200)
        kafka.stop()
        wait_until(lambda: _ready(worker) == 503)
        kafka.start()
        wait_until(lambda: _ready(worker) == 200)
    finally:
        kafka.start()
        worker.end()
        behind.close()


def _ready(worker):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/ready", timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code if "detail" in json.load(error) else 0
