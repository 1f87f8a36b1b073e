"""Alerts beside an embedded engine: followed from its ledger, shown to viewers, never on a decision's way."""

import json
import socket
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest

from penstock import Engine
from penstock.alerts import AlertSink
from penstock.alerts.rule import METRICS
from penstock.cli import run
from penstock.config import Settings
from penstock.engine.labels.known_rates import KnownRates
from penstock.errors import DeclarationError
from penstock.ledger import FileLedger, MemoryLedger
from penstock.testing import example_detector
from penstock.wiring.alerts import Alerting, EngineFigures, alert_sink
from penstock.wiring.engines import openers
from tests.waiting import wait_until

NOW = datetime(2026, 1, 5, tzinfo=UTC)
RULES = """
[[alerts]]
name = "often"
when = "decision = 'REVIEW'"
per = "customer_id"
cooldown = "0s"
limit = 10000
[alerting]
limit = 10000
"""
SOC = "[channels.soc]\nkind='webhook'\nurl='{url}'\ntimeout_s=60\n"


def settings(tmp_path, text=RULES):
    (tmp_path / "alerts.toml").write_text(text)
    return Settings(data=tmp_path / "data", alerts=tmp_path / "alerts.toml")


def opened(settings):
    detector = example_detector()
    alerting = Alerting.of([detector], settings)
    told = []
    alerting.listen(lambda name, body: told.append((name, json.loads(body)["transaction_id"])))
    return openers([detector], settings, alerting=alerting)["example"](), told


def pay(number, customer="c"):
    return {
        "transaction_id": f"t{number}",
        "timestamp": (NOW + timedelta(seconds=number)).isoformat(),
        "customer_id": customer,
        "amount": 3.0,
    }


def test_viewers_hear_of_every_alert_once_also_over_restarts(tmp_path):
    chosen = settings(tmp_path)
    engine, told = opened(chosen)
    for number in range(8):
        engine.decide(pay(number))
    wait_until(lambda: len(told) == 5)
    engine.close()
    assert told == [("example", f"t{number}") for number in range(3, 8)]
    engine, again = opened(chosen)
    assert again == told  # what was raised before, for pages that are opened now
    engine.decide(pay(8))
    engine.close()  # what is durable by now is evaluated first
    assert again == [*told, ("example", "t8")]
    with FileLedger(chosen.data / "ledger", read_only=True) as ledger:
        assert len(ledger.tables.alerts()) == 6


def test_a_folder_that_a_worker_had_raises_alerts_again(tmp_path):
    chosen = settings(tmp_path)
    with FileLedger(chosen.data / "ledger") as ledger:
        ledger.tables.put_setting("alerts.fence", 9)
    engine, told = opened(chosen)
    for number in range(4):
        engine.decide(pay(number))
    engine.close()
    assert told == [("example", "t3")]


def test_history_before_the_rules_raises_nothing(tmp_path):
    bare = Settings(data=tmp_path / "data")
    engine = openers([example_detector()], bare)["example"]()
    for number in range(8):
        engine.decide(pay(number))
    engine.close()
    engine, told = opened(settings(tmp_path))
    engine.close()
    assert told == []


def test_what_is_decided_before_alerts_have_begun_is_none_of_it(tmp_path, monkeypatch):
    """They begin in a thread of their own, on a busy machine well after the first decisions."""
    decided, begin = threading.Event(), AlertSink.begin
    monkeypatch.setattr(AlertSink, "begin", lambda sink, fence: begin(sink, fence) if decided.wait(60) else 0)
    engine, told = opened(settings(tmp_path))
    for number in range(5):
        engine.decide(pay(number))
    decided.set()
    wait_until(lambda: len(told) == 2)
    engine.close()
    assert told == [("example", "t3"), ("example", "t4")]


@pytest.mark.parametrize("rule", ["when='nothing > 1'", "kind='gauge'\nmetric='nothing'\nmore_than=1"])
def test_rules_that_do_not_fit_are_found_before_the_service_starts(tmp_path, rule):
    with pytest.raises(DeclarationError, match=r"alerts\.toml: alert 'a'"):
        Alerting.of([example_detector()], settings(tmp_path, f"[[alerts]]\nname='a'\n{rule}"))


def test_gauges_may_ask_for_exactly_the_figures_that_processes_have(tmp_path):
    engine, _ = opened(settings(tmp_path))
    with closing(engine):
        assert EngineFigures(engine, frozenset()).read().keys() | {"lag", "stores_lag_s", "drift"} | KnownRates.names == METRICS


STOPPED_GOOD = """
[[alerts]]
name = "stopped_good"
kind = "gauge"
metric = "false_discovery_rate_known"
more_than = 0.5
message = "{value:.0%} of what was stopped is known to be good"
"""


@pytest.mark.parametrize(("labelled", "raised"), [(31, ["100% of what was stopped is known to be good"]), (29, [])])
def test_good_customers_who_are_stopped_raise_an_alert_once_enough_outcomes_are_known(tmp_path, labelled, raised, monkeypatch):
    monkeypatch.setattr("penstock.alerts.sink.LOOK_EVERY_S", 0.02)
    monkeypatch.setattr("penstock.engine.labels.known_rates.RENEWED_US", 0)
    engine, _ = opened(settings(tmp_path, STOPPED_GOOD))
    looked = threading.Event()
    since = engine.label_outcomes.since

    def slow(*arguments, **options):
        found = since(*arguments, **options)
        assert threading.current_thread().name == "penstock-alerts"
        if found.counts.sum() == labelled:
            looked.set()
        return found

    with closing(engine):
        for number in range(60):
            engine.decide(pay(number))
        reviewed = [f"t{number}" for number in range(60) if engine.decide(pay(number)).decision != "APPROVE"]
        for number in reviewed[:labelled]:
            engine.label(number, fraud=False)
        monkeypatch.setattr(engine.label_outcomes, "since", slow)
        assert looked.wait(60)
        wait_until(lambda: len(engine.ledger.tables.alerts()) >= len(raised))
        assert [json.loads(alert.body)["text"] for alert in engine.ledger.tables.alerts()] == raised


def test_a_channel_that_nobody_answers_never_holds_a_decision_up(tmp_path):
    """A socket that accepts and says nothing: the worst a channel can do."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        channel = f"[channels.silent]\nkind = 'webhook'\nurl = '{url}'\ntimeout_s = 60\n"
        engine, told = opened(settings(tmp_path, RULES + channel))
        slowest = 0.0
        for number in range(300):
            started = time.perf_counter()
            engine.decide(pay(number))
            slowest = max(slowest, time.perf_counter() - started)
        wait_until(lambda: len(told) == 297)
    engine.close()  # the socket is gone: nothing is waited for
    assert slowest < 20  # far below the time that one try takes, far above what a busy machine adds
    with FileLedger(tmp_path / "data" / "ledger", read_only=True) as ledger:
        assert len(ledger.tables.alerts(limit=1000)) == 297
        assert ledger.tables.deliveries(outcome="delivered") == []
        assert len(ledger.tables.deliveries(outcome="waiting")) == 297


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def receiver():
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    server.got, server.status = [], 200
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_command_sends_a_sample_through_each_channel_and_says_what_came_of_it(tmp_path, receiver, capsys):
    url = f"http://127.0.0.1:{receiver.server_port}/"
    path = tmp_path / "a.toml"
    path.write_text(f"[channels.ops]\nkind='slack'\nurl='{url}'\ntimeout_s=60\n" + SOC.format(url=url) + "secret='s'")
    assert run(["alerts", "test", "--alerts", str(path)]) == 0
    assert capsys.readouterr().out.split("\n")[:2] == ["ok   ops              200 OK", "ok   soc              200 OK"]
    assert list(receiver.got[0]) == ["text"]
    assert receiver.got[1]["rule"] == "test"
    receiver.status = 404
    assert run(["alerts", "test", "soc", "--alerts", str(path), "--json"]) == 1
    [found] = json.loads(capsys.readouterr().out)
    assert (found["channel"], found["delivered"]) == ("soc", False)
    assert run(["alerts", "test", "sok", "--alerts", str(path)]) == 2
    assert "Did you mean soc?" in capsys.readouterr().err


def test_a_worker_with_deliver_off_lets_alerts_wait_for_their_channels(tmp_path, receiver):
    url = f"http://127.0.0.1:{receiver.server_port}/"
    chosen = msgspec.structs.replace(settings(tmp_path, RULES + SOC.format(url=url)), deliver=False)
    with Engine(example_detector(), data=tmp_path / "data") as engine:
        for number in range(5):
            engine.decide(pay(number))
        sink = alert_sink(engine, chosen, MemoryLedger())
        sink.begin(0)
        sink.write(list(enumerate(record for _, record in engine.ledger.read())))
        assert sink.on_the_way("soc") == (2, None)
        sink.close()
    assert receiver.got == []


def test_the_command_sends_no_sample_with_deliver_off(tmp_path, receiver, capsys, monkeypatch):
    url = f"http://127.0.0.1:{receiver.server_port}/"
    chosen = settings(tmp_path, SOC.format(url=url))
    monkeypatch.setenv("PENSTOCK_DELIVER", "false")
    assert run(["alerts", "test", "--alerts", str(chosen.alerts)]) == 2
    assert "deliver is false" in capsys.readouterr().err
    assert receiver.got == []


def test_the_command_shows_the_rules_in_force_and_refuses_what_cannot_work(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["alerts", "list", "banking", "--alerts", "defaults"]) == 0
    assert "burst_of_blocks" in capsys.readouterr().out
    assert run(["alerts", "list", "banking", "--alerts", "defaults", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {"name", "kind", "within", "more_than"} <= {key for rule in listed["rules"] for key in rule}
    assert run(["alerts", "list"]) == 2
    assert "--alerts FILE" in capsys.readouterr().err
    (tmp_path / "penstock.toml").write_text("[[alerts]]\nname='a'\nwhen='amount > '")
    assert run(["alerts", "list", "banking"]) == 2
    assert "alert 'a'" in capsys.readouterr().err
    (tmp_path / "penstock.toml").write_text("[[alerts]]\nname='a'\nkind='gauge'\nmetric='nonsense_xyz'\nmore_than=1")
    assert run(["alerts", "list", "banking"]) == 2
    assert "penstock.toml: alert 'a': there is no metric 'nonsense_xyz'. Known: " in capsys.readouterr().err
    (tmp_path / "penstock.toml").write_text("[[alerts]]\nname='a'\ndetector='bankin'\nwhen='amount > 1'")
    assert run(["alerts", "list", "banking"]) == 0
    assert "detector 'bankin' is not served here. Did you mean banking?" in capsys.readouterr().err
    (tmp_path / "penstock.toml").write_text("[channels.x]\nkind='slak'")
    assert run(["alerts", "list"]) == 2
    assert "Did you mean slack?" in capsys.readouterr().err
    (tmp_path / "penstock.toml").write_text("[channels.x]\nkind='email'\nhost='h'\nfrom='a@b'\nto=['c@d']\nport='x'")
    assert run(["alerts", "list"]) == 2
    assert "channel 'x'" in capsys.readouterr().err


def test_the_log_says_what_became_of_every_alert(tmp_path, receiver, capsys):
    url = f"http://127.0.0.1:{receiver.server_port}/"
    chosen = settings(tmp_path, RULES + SOC.format(url=url))
    engine, _ = opened(chosen)
    for number in range(5):
        engine.decide(pay(number))
    wait_until(lambda: len(receiver.got) == 2)
    engine.close()
    assert run(["alerts", "log", "--data", str(chosen.data)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0].endswith("[warning] example: often of c: decision is REVIEW")
    assert lines[1] == "    soc: delivered (1 attempts) 200 OK"
    assert run(["alerts", "log", "--data", str(chosen.data), "--limit", "1", "--json"]) == 0
    [newest] = json.loads(capsys.readouterr().out)
    assert (newest["transaction_id"], newest["deliveries"][0]["outcome"]) == ("t4", "delivered")
