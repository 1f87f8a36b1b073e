"""A service over TLS whose ledger is a real PostgreSQL: what it answered is committed, whoever is killed."""

import http.client
import itertools
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from contextlib import closing, suppress

import psycopg
import pytest

from deploy.infra.server import free_port
from penstock.adapters.postgres import create
from tests.certificates import Authority
from tests.integration import crash_worker
from tests.waiting import wait_until

CLIENTS = 4
BROKEN = (OSError, http.client.HTTPException)


class Service:
    """`penstock serve` as a process, with mutual TLS. acknowledged: what it answered, by id."""

    def __init__(self, folder, ledger):
        authority = Authority(folder / "tls")
        own, client = authority.issue("service"), authority.issue("client")
        self._context = ssl.create_default_context(cafile=authority.file)
        self._context.load_cert_chain(client.cert, client.key)
        self._port, self._folder = free_port(), folder
        self._options = ["--data", str(folder / "data"), "--ledger", ledger, "--port", str(self._port)]
        self._options += ["--tls-cert", str(own.cert), "--tls-key", str(own.key), "--tls-client-ca", str(authority.file)]
        self._bodies = iter(crash_worker.events(200_000))
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._log = (folder / "log").open("ab")
        self.acknowledged, self.sent = {}, {}
        self.start()
        self._clients = [threading.Thread(target=self._send) for _ in range(CLIENTS)]

    def start(self):
        program = ["-c", "from penstock.cli import main; main()", "serve", crash_worker.__file__]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PENSTOCK_SNAPSHOT_EVERY_S": "0.5"}
        command = [sys.executable, *program, *self._options]
        self.process = subprocess.Popen(command, stdout=self._log, stderr=self._log, env=environment)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)

    def load(self):
        for client in self._clients:
            client.start()

    def ask(self, method, path, body=None, *, connection=None):
        """Status and JSON of an answer; status 0 where the connection broke."""
        own = connection or http.client.HTTPSConnection("127.0.0.1", self._port, timeout=120, context=self._context)
        try:
            own.request(method, path, body)
            with own.getresponse() as answer:
                return answer.status, json.loads(answer.read())
        except BROKEN:
            own.close()
            return 0, None
        finally:
            if connection is None:
                own.close()

    @property
    def ready(self):
        return self.ask("GET", "/ready")

    def _send(self):
        with closing(http.client.HTTPSConnection("127.0.0.1", self._port, timeout=120, context=self._context)) as kept:
            while not self._stop.wait(0.002):
                with self._lock:
                    event = next(self._bodies)
                self.sent[event["transaction_id"]] = event
                status, answer = self.ask("POST", "/predict", json.dumps(event), connection=kept)
                if status == 200:
                    self.acknowledged[event["transaction_id"]] = answer

    def more(self, count=200):
        """Wait until so many more are acknowledged."""
        before = len(self.acknowledged)
        wait_until(lambda: len(self.acknowledged) >= before + count)

    def end_load(self):
        self._stop.set()
        for client in self._clients:
            if client.ident is not None:
                client.join(240)

    def end(self):
        self.end_load()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(120)
        self._log.close()
        return code


@pytest.fixture
def service(postgres, postgres_url, tmp_path):
    create(postgres_url)
    running = Service(tmp_path, postgres_url)
    try:
        wait_until(lambda: running.ready[0] == 200)
        yield running
    finally:
        postgres.start()
        with suppress(ValueError):
            running.end()


def recorded(url):
    """Decisions in the database, by id, and how many rows there are."""
    with psycopg.connect(url) as db:
        rows = db.execute("SELECT transaction_id, decision FROM penstock.decisions").fetchall()
    return dict(rows), len(rows)


@pytest.mark.slow
def test_kills_of_service_and_server_lose_no_acknowledged_decision_and_double_none(service, postgres, postgres_url):
    service.load()
    for victim in ("service", "server", "service", "server"):
        service.more()
        if victim == "service":
            service.kill()
            service.start()
            wait_until(lambda: service.ready[0] == 200)
        else:
            postgres.kill()
            postgres.start()
            wait_until(lambda: service.ready[0] == 200)
    service.more()
    service.end_load()
    found, rows = recorded(postgres_url)
    assert len(found) == rows  # none twice
    assert {
        name: answer["decision"] for name, answer in service.acknowledged.items() if found.get(name) != answer["decision"]
    } == {}
    for name in itertools.islice(reversed(service.acknowledged), 50):
        again = service.ask("POST", "/predict", json.dumps(service.sent[name]))
        assert again == (200, service.acknowledged[name])
    assert recorded(postgres_url)[1] == rows
    assert service.end() == 0


@pytest.mark.slow
def test_nothing_is_answered_while_the_server_is_away_and_its_cause_is_told(service, postgres, postgres_url):
    events = crash_worker.events(4)
    assert service.ask("POST", "/predict", json.dumps(events[0]))[0] == 200
    postgres.kill()
    status, problem = service.ask("POST", "/predict", json.dumps(events[1]))
    assert (status, "does not answer" in problem["detail"]) == (503, True)
    assert service.ask("POST", "/predict", json.dumps(events[2]))[0] == 503
    status, problem = service.ready
    assert (status, "does not answer" in problem["detail"]) == (503, True)
    postgres.start()
    wait_until(lambda: service.ready[0] == 200)  # without a request
    answers = [service.ask("POST", "/predict", json.dumps(event)) for event in events]
    assert [status for status, _ in answers] == [200] * 4
    assert recorded(postgres_url)[1] == 4


def test_an_answer_waits_for_the_commit(service, postgres_url):
    """While somebody else holds the row that every commit moves, nothing is answered; groups are committed after that."""
    bodies = [json.dumps(event) for event in crash_worker.events(6)]
    answers = {}

    def ask(number):
        answers[number] = service.ask("POST", "/predict", bodies[number])

    with psycopg.connect(postgres_url) as db, psycopg.connect(postgres_url, autocommit=True) as other:
        db.execute("SELECT 1 FROM penstock.logs FOR UPDATE")
        asking = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
        for each in asking:
            each.start()
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        wait_until(lambda: other.execute(waits).fetchone() == (1,))
        assert answers == {}
        db.rollback()
        for each in asking:
            each.join(240)
        assert [answers[number][0] for number in range(6)] == [200] * 6
        [(groups, rows)] = other.execute("SELECT count(*), sum(rows) FROM penstock.frames").fetchall()
        assert (groups <= 3, rows) == (True, 6)  # those that came meanwhile are one record
