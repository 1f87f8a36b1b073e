"""Webhooks of services beside a worker: of two that follow the journal one delivers, and the other goes on when it dies."""

import pytest

from tests.integration.behind import ApiProcess, WorkerProcess
from tests.receiver import receiving
from tests.service import mine
from tests.waiting import wait_until

SETTINGS = {"PENSTOCK_PREDICT_BUDGET_MS": "60000", "PENSTOCK_WEBHOOK_PRIVATE": "true"}


@pytest.mark.slow
def test_of_two_services_one_delivers_every_event_and_the_other_takes_over(redis_url, tmp_path):
    data, started = tmp_path / "data", []

    def begin(process):
        started.append(process)
        return process

    try:
        worker = begin(WorkerProcess(mine.__file__, redis_url, data))
        apis = [begin(ApiProcess(mine.__file__, redis_url, data, log=tmp_path / f"api{n}.log", **SETTINGS)) for n in range(2)]
        wait_until(lambda: worker.owns and all(api.ready for api in apis))
        with receiving() as receiver:
            given = {"url": receiver.url, "types": ["penstock.decision.made"], "timeout_s": 10.0}
            status, made = apis[0].ask("POST", "/webhooks", given)
            assert status == 201
            receiver.secret = made["secret"]
            path = f"/webhooks/{made['webhook']['id']}"

            def pay(number):
                at = "2026-01-05T10:00:00Z"
                payment = {"transaction_id": f"t{number}", "timestamp": at, "customer_id": f"c{number}", "amount": 5.0}
                assert apis[1].ask("POST", "/predict", payment)[0] == 200

            for number in range(20):
                pay(number)
            wait_until(lambda: len(receiver.taken) >= 20)
            wait_until(lambda: apis[1].ask("GET", path)[1]["waiting"] == 0)
            assert receiver.subjects() == [f"t{number}" for number in range(20)]  # both follow, one delivers, once each
            apis[0].end()
            for number in range(20, 30):
                pay(number)
            wait_until(lambda: set(receiver.subjects()) == {f"t{number}" for number in range(30)})
            assert list(dict.fromkeys(receiver.subjects())) == [f"t{number}" for number in range(30)]
            ids = {(each["subject"], each["id"]) for each in receiver.taken}
            assert len(ids) == 30
            assert not receiver.forged
    finally:
        for process in started:
            process.end()
