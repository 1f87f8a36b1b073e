"""Alerts behind a broker: on their topic, by every channel, and on the pages of services beside; also over a takeover."""

from itertools import count

import pytest

from penstock.cli import run
from penstock.database import open_office
from penstock.governance.alert_channels import AlertChannels
from penstock.wiring.alerts import open_channel
from tests.integration.behind import ApiProcess, Behind, WorkerProcess
from tests.receiver import receiving
from tests.service import mine
from tests.waiting import wait_until

RULES = """
[alerting]
limit = 10000
[[alerts]]
name = "reviewed"
when = "decision = 'REVIEW'"
cooldown = "0s"
limit = 10000
[[alerts]]
name = "waiting"
kind = "gauge"
metric = "lag"
more_than = 1000000
"""


@pytest.fixture
def behind(redis_url):
    found = Behind(redis_url, mine.detector.name)
    yield found
    found.close()


@pytest.fixture
def start(redis_url, tmp_path, monkeypatch):
    """Starts workers, and services beside them, all with the same rules."""
    (tmp_path / "alerts.toml").write_text(RULES)
    monkeypatch.setenv("PENSTOCK_ALERTS", str(tmp_path / "alerts.toml"))
    started = []

    def worker(name):
        started.append(WorkerProcess(mine.__file__, redis_url, tmp_path / name, name=name))
        return started[-1]

    def api():
        started.append(ApiProcess(mine.__file__, redis_url, tmp_path / "api", log=tmp_path / "api.log"))
        return started[-1]

    worker.api = api
    yield worker
    for process in started:
        process.end()


def payments(first, count):
    return [
        {"transaction_id": f"t{k}", "timestamp": "2026-01-05T10:00:00Z", "customer_id": "c1", "amount": 5.0}
        for k in range(first, first + count)
    ]


def told(behind):
    return {alert["transaction_id"]: alert["key"] for alert in behind.read("alerts")}


def reviewed(behind):
    return {decision["transaction_id"] for decision in behind.read("decisions") if decision["decision"] == "REVIEW"}


@pytest.mark.slow
def test_every_alert_reaches_its_topic_and_the_pages_also_when_another_worker_takes_over(behind, start):
    first, api = start("one"), start.api()
    wait_until(lambda: first.owns and api.ready)
    behind.put("transactions", payments(0, 10))
    wait_until(lambda: len(told(behind)) == 7)
    assert set(told(behind)) == reviewed(behind)
    assert list(told(behind).values()) == [f"mine:reviewed:{seq}" for seq in range(3, 10)]
    wait_until(lambda: len(api.ask("GET", "/alerts")[1]["alerts"]) == 7)
    shown = api.ask("GET", "/alerts")[1]["alerts"]
    assert {alert["key"] for alert in shown} == set(told(behind).values())
    second = start("two")
    wait_until(lambda: second.follows)
    first.kill()
    behind.put("transactions", payments(10, 20))
    wait_until(lambda: len(told(behind)) == 27)
    assert set(told(behind)) == reviewed(behind)
    assert sorted(told(behind).values(), key=lambda key: int(key.split(":")[2])) == [f"mine:reviewed:{k}" for k in range(3, 30)]
    wait_until(lambda: len(api.ask("GET", "/alerts")[1]["alerts"]) == 27)


@pytest.mark.slow
def test_a_channel_of_the_office_gets_the_alerts_of_a_worker_that_runs_also_after_a_kill(behind, start, tmp_path, monkeypatch):
    monkeypatch.setenv("PENSTOCK_WEBHOOK_PRIVATE", "true")
    first, numbers = start("one"), count(3)
    wait_until(lambda: first.owns)
    behind.put("transactions", payments(0, 3))  # of the fourth on, each is reviewed
    with receiving() as receiver, open_office(tmp_path / "one") as office:

        def pay_until_told():
            before = len(receiver.taken)
            wait_until(
                lambda: behind.put("transactions", payments(next(numbers), 1)) or len(receiver.taken) > before, every_s=0.5
            )

        AlertChannels(office, open_channel, plain=True).add("soc", "webhook", {"url": receiver.url}, who="ana")
        pay_until_told()
        first.kill()
        again = start("one")
        wait_until(lambda: again.owns)
        pay_until_told()


def test_a_worker_does_not_start_with_rules_that_cannot_work(redis_url, tmp_path, capsys):
    (tmp_path / "alerts.toml").write_text("[[alerts]]\nname = 'a'\nwhen = 'nothing > 1'")
    options = ["--stream", redis_url, "--data", str(tmp_path / "data"), "--alerts", str(tmp_path / "alerts.toml")]
    assert run(["worker", mine.__file__, *options]) == 2
    assert "alert 'a'" in capsys.readouterr().err
