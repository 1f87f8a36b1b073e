"""The recipe for payments of a wallet, followed: Kafka, stores, alerts, an API that does not wait, the same in Spark."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import psycopg
import pytest
from tests.pages import WITHIN_S
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.repeats]  # of what two other recipes show of the commands


class Slack(BaseHTTPRequestHandler):
    """Takes what an incoming webhook of Slack takes."""

    def do_POST(self):
        self.server.texts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def slack(monkeypatch):
    """A server in the place of Slack; `texts` are what it was sent."""
    server = HTTPServer(("127.0.0.1", 0), Slack)
    server.texts = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    monkeypatch.setenv("SLACK_URL", f"http://127.0.0.1:{server.server_port}/")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def decided(url):
    """What a ledger in PostgreSQL says about every transaction, by id."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT transaction_id, decision, fraud_probability, features FROM penstock.decisions")
        return {row[0]: row[1:] for row in rows}


def test_the_recipe_for_payments_does_what_it_prints(follow, slack):
    page = follow("recipes/payments", "kafka", "redis", "postgres", "s3")
    assert page.output_of("penstock alerts test").count("ok ") == 2
    mail = next(each for each in page.shell.running if "aiosmtpd" in each.command)
    for heard in (lambda: "\n".join(slack.texts), lambda: mail.output):
        wait_until(lambda heard=heard: "U482910375 tried to pay 3,900.00" in heard(), WITHIN_S)

    scored = json.loads(page.output_of("(?s)curl .*/predict"))
    assert all(each["degraded"] is None or each["degraded"]["part"] == "worker" for each in scored)
    stands = json.loads(page.output_of("curl .*/transactions/pay-2"))
    assert stands["degraded"] is None
    assert json.loads(page.output_of("curl .*/status"))["status"] == "processed"
    assert {"decisions", "alerts", "stats"} <= set(json.loads(page.output_of("python -c")))

    if any("penstock spark stream" in each.command for each in page.shell.running):  # not in a quick run
        ours = page.shell.environment["POSTGRES_URL"]
        spark = wait_until(lambda: decided(f"{ours.rpartition('/')[0]}/spark"), WITHIN_S)
        decisions = decided(ours)
        assert {each: decisions[each] for each in spark} == spark
