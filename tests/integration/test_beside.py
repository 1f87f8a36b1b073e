"""API processes beside a worker: they publish, follow, and say what the policy names when a decision is late."""

import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.behind import ApiProcess, Behind, WorkerProcess
from tests.service import mine
from tests.waiting import wait_until

ROUNDS = int(os.environ.get("PENSTOCK_BURST_ROUNDS", "50"))
PATIENT = {"PENSTOCK_PREDICT_BUDGET_MS": "60000"}
BROKERS = [pytest.param("kafka", marks=pytest.mark.slow), "redis"]


@pytest.fixture(params=BROKERS)
def url(request):
    if request.param == "redis":
        return request.getfixturevalue("redis_url")
    return f"{request.getfixturevalue('kafka').url}/{request.getfixturevalue('topic_prefix').rstrip('.')}"


@pytest.fixture
def start(url, tmp_path):
    """Starts API processes and workers over one data folder."""
    started = []

    def api(detector=mine.__file__, **settings):
        started.append(ApiProcess(detector, url, tmp_path / "data", log=tmp_path / f"api{len(started)}.log", **settings))
        return started[-1]

    def worker(detector=mine.__file__):
        started.append(WorkerProcess(detector, url, tmp_path / "data"))
        return started[-1]

    api.worker = worker
    yield api
    for process in started:
        process.end()


def payment(transaction_id, customer="c1", amount=5.0):
    at = "2026-01-05T10:00:00Z"
    return {"transaction_id": transaction_id, "timestamp": at, "customer_id": customer, "amount": amount}


def test_what_the_worker_decides_is_answered_kept_and_looked_up(start, url):
    api, worker = start(**PATIENT), start.worker()
    wait_until(lambda: api.ready and worker.owns)
    status, decision = api.ask("POST", "/predict", payment("t1"))
    assert (status, decision["decision"], decision["degraded"]) == (200, "APPROVE", None)
    assert api.ask("GET", "/transactions/t1")[1] == decision
    assert api.ask("GET", "/transaction/t1/status")[1]["status"] == "processed"

    assert api.ask("POST", "/transactions", payment("t2"))[0] == 202
    wait_until(lambda: api.ask("GET", "/transaction/t2/status?wait_seconds=20")[0] == 200)
    assert api.ask("GET", "/transaction/t2/status")[1]["decision"] == "APPROVE"

    many = api.ask("POST", "/predict", [payment(f"m{k}", "c2") for k in range(5)] + [{"transaction_id": "bad"}])[1]
    assert [each.get("decision") for each in many] == ["APPROVE", "APPROVE", "APPROVE", "REVIEW", "REVIEW", None]
    assert api.ask("POST", "/predict", payment("t1"))[1] == decision
    assert api.ask("POST", "/predict", payment("t1", amount=9.0))[1]["conflict"] is True

    events = [{**payment("l1", "c3"), "type": "Login"}]
    assert api.ask("POST", "/events", [{key: each[key] for key in each if key != "amount"} for each in events])[0] == 202
    assert api.ask("POST", "/labels", {"transaction_id": "t1", "fraud": True, "source": "analyst"})[0] == 200
    wait_until(lambda: api.ask("GET", "/users/c1/risk-profile")[1]["labels"])
    wait_until(lambda: api.ask("GET", "/entities/customer/c3")[0] == 200)
    assert api.ask("GET", "/entities/customer/c3")[1]["features"]["logins"] == 1
    assert api.ask("POST", "/predict?dry_run=true", payment("dry", "c2"))[1]["decision"] == "REVIEW"
    assert api.ask("GET", "/transactions/dry")[0] == 404
    stats = api.ask("GET", "/stats")[1]
    assert (stats["total"], stats["review"]) == (7, 2)
    latest = api.ask("GET", "/get")[1]
    assert latest[0]["transaction_id"] == "m4"

    behind = Behind(url, "mine")
    wait_until(lambda: len(behind.bodies("decisions")) >= 7)
    assert len(behind.bodies("decisions")) == 7
    behind.close()


def test_a_late_decision_stands_beside_the_answer_that_was_given(start):
    api = start(PENSTOCK_PREDICT_BUDGET_MS="150")
    wait_until(lambda: "no worker has been heard of yet" in reason(api))
    status, told = api.ask("POST", "/predict", payment("t1", amount=3.0))
    assert (status, told["decision"], told["degraded"]["cause"]) == (200, "REVIEW", "no decision within 150 ms")
    assert told["fraud_probability"] is None
    status, pending = api.ask("GET", "/transaction/t1/status")
    assert (status, pending["status"], pending["retry_after"]) == (202, "pending", 1)
    assert api.ask("GET", "/transaction/nobody/status")[1]["status"] == "pending", "it may wait behind t1"

    worker = start.worker()
    wait_until(lambda: api.ask("GET", "/transactions/t1")[0] == 200)
    wait_until(lambda: "answered" in api.ask("GET", "/transactions/t1")[1])
    kept = api.ask("GET", "/transactions/t1")[1]
    assert (kept["decision"], kept["degraded"]) == ("APPROVE", None)
    assert kept["answered"]["decision"] == "REVIEW"
    wait_until(lambda: worker.owns)
    wait_until(lambda: api.ask("GET", "/transaction/nobody/status")[0] == 404)
    assert api.ask("GET", "/transaction/nobody/status")[1]["code"] == "unknown_transaction"


def reason(api):
    """Why it is not ready; nothing where it is, or does not answer yet."""
    return (api.ask("GET", "/ready")[1] or {}).get("detail", "")


def test_a_service_is_ready_with_a_worker_degraded_without_for_a_while_and_then_not_ready(start):
    api = start(PENSTOCK_PREDICT_BUDGET_MS="150", PENSTOCK_WORKER_GRACE="10")
    wait_until(lambda: "no worker has been heard of yet; start one: penstock worker mine --stream URL" in reason(api))
    worker = start.worker()
    wait_until(lambda: api.ready)
    assert "degraded" not in api.ask("GET", "/ready")[1]
    worker.kill()
    degraded = wait_until(lambda: (api.ask("GET", "/ready")[1] or {}).get("degraded"))  # for some seconds only
    assert "callers get what on_timeout names (review)" in degraded["mine"]
    wait_until(lambda: "longer than worker_grace (10 s)" in reason(api))
    assert api.ask("POST", "/transactions", payment("t1"))[0] == 202  # the broker has it, whoever decides it in the end
    again = start.worker()
    wait_until(lambda: api.ready)
    wait_until(lambda: again.owns and api.ask("GET", "/transaction/t1/status?wait_seconds=5")[0] == 200)


def test_a_wait_for_a_decision_that_does_not_come_is_no_longer_than_was_asked_for(start):
    api = start()
    wait_until(lambda: reason(api).startswith("mine: no worker"))
    began = time.monotonic()
    assert api.ask("GET", "/transaction/nobody/status?wait_seconds=1")[1]["code"] == "unknown_transaction"
    assert 1 <= time.monotonic() - began < 25, "the longest wait that can be asked for is 30 s"


@pytest.mark.slow
@pytest.mark.parametrize("named_by", ["policy", pytest.param("setting", marks=pytest.mark.repeats)])
def test_a_provisional_answer_is_scored_from_what_was_last_heard_and_changes_nothing(start, tmp_path, named_by):
    file = tmp_path / "provisional.py"
    text = Path(mine.__file__).read_text("utf-8")
    options = {"PENSTOCK_PREDICT_BUDGET_MS": "10000", "PENSTOCK_WORKER_GRACE": "1"}
    if named_by == "policy":
        text = text.replace('Policy(on_failure="review")', 'Policy(on_failure="review", on_timeout="provisional")')
    else:
        options["PENSTOCK_ON_TIMEOUT"] = "provisional"
    file.write_text(text, "utf-8")
    api, worker = start(str(file), **options), start.worker(str(file))
    wait_until(lambda: api.ready and worker.owns)
    for k in range(3):
        assert api.ask("POST", "/predict", payment(f"t{k}"))[1]["degraded"] is None
    worker.kill()
    wait_until(lambda: api.ask("GET", "/ready")[1].get("degraded"))  # long after worker_grace
    for k in range(2):
        told = api.ask("POST", "/predict", payment(f"late{k}"))[1]
        assert (told["decision"], told["degraded"]["part"]) == ("REVIEW", "worker")
        assert told["features"]["customer_count_1h"] == 4


@pytest.mark.slow
def test_of_ten_payments_at_once_through_three_processes_exactly_seven_are_reviewed(start):
    apis, worker = [start(**PATIENT) for _ in range(3)], start.worker()
    wait_until(lambda: worker.owns and all(api.ready for api in apis))
    for number in range(ROUNDS):
        ready = threading.Barrier(10)

        def send(k, number=number, ready=ready):
            ready.wait()
            return apis[k % 3].ask("POST", "/predict", payment(f"r{number}-{k}", f"burst{number}"))[1]["decision"]

        with ThreadPoolExecutor(10) as pool:
            assert Counter(pool.map(send, range(10))) == {"REVIEW": 7, "APPROVE": 3}


@pytest.mark.slow
def test_an_api_process_that_starts_again_goes_on_where_the_journal_was(start):
    api, worker = start(**PATIENT), start.worker()
    wait_until(lambda: api.ready and worker.owns)
    assert api.ask("POST", "/predict", payment("t1"))[1]["decision"] == "APPROVE"
    api.end()
    again = start(**PATIENT)
    wait_until(lambda: again.ready)
    assert again.ask("GET", "/transactions/t1")[1]["decision"] == "APPROVE"
