"""Refused events behind a broker: seen on every process, corrected on any, decided by the worker."""

import pytest

from tests.integration.behind import ApiProcess, Behind, WorkerProcess
from tests.service import mine
from tests.waiting import wait_until

BROKERS = [pytest.param("kafka", marks=pytest.mark.slow), "redis"]


@pytest.fixture(params=BROKERS)
def url(request):
    if request.param == "redis":
        return request.getfixturevalue("redis_url")
    return f"{request.getfixturevalue('kafka').url}/{request.getfixturevalue('topic_prefix').rstrip('.')}"


@pytest.fixture
def start(tmp_path):
    started = []

    def process(kind, *args, **settings):
        started.append(kind(mine.__file__, *args, tmp_path / "data", **settings))
        return started[-1]

    yield process
    for each in started:
        each.end()


def payment(transaction_id, **more):
    fields = {"transaction_id": transaction_id, "timestamp": "2026-01-05T10:00:00Z", "customer_id": "c1", "amount": 5.0}
    return fields | more


def test_what_is_refused_is_seen_everywhere_and_sent_again_through_the_broker(start, url, tmp_path):
    worker = start(WorkerProcess, url)
    wait_until(lambda: worker.owns, 240)
    options = {"PENSTOCK_PREDICT_BUDGET_MS": "60000", "PENSTOCK_WORKERS": f"127.0.0.1:{worker.port}"}
    api, other = (start(ApiProcess, url, log=tmp_path / f"api{n}.log", **options) for n in range(2))
    wait_until(lambda: api.ready and other.ready, 240)

    assert api.ask("POST", "/predict", payment("t1", amount="ten"))[0] == 422
    behind = Behind(url, "mine")
    behind.put("transactions", [payment("t2", amount=[])])

    def seen_by(process):
        return {event["id"]: event for event in process.ask("GET", "/quarantine?state=waiting")[1]["events"]}

    wait_until(lambda: len(seen_by(api)) == len(seen_by(other)) == 2)
    found = seen_by(api)
    assert seen_by(other) == found, "the same on every process"
    wait_until(lambda: len(behind.bodies("quarantine")) == 2)  # and in the topic of the broker

    for event in found.values():
        again = payment("t1" if '"ten"' in event["body"] else "t2", amount=7.0)
        status, refused = other.ask("POST", f"/quarantine/{event['id']}/resubmit", again | {"amount": None})
        assert (status, refused["errors"][0]["field"]) == (422, "amount")
        status, sent = other.ask("POST", f"/quarantine/{event['id']}/resubmit", again)
        assert (status, sent["outcome"], sent["decision"]["decision"]) == (200, "decided", "APPROVE")
    wait_until(lambda: api.ask("GET", "/transactions/t2")[0] == 200)
    wait_until(lambda: len(behind.bodies("decisions")) >= 2)
    assert sorted(decision["transaction_id"] for decision in behind.read("decisions")) == ["t1", "t2"]
    wait_until(lambda: seen_by(api) == {})
    behind.put("answers", [b"nothing that anybody was told"])
    wait_until(lambda: len(seen_by(api)) == 1)
    wait_until(lambda: worker.owns)  # a message that is none ends nothing
    behind.close()
    assert len(api.ask("GET", "/quarantine?state=resubmitted")[1]["events"]) == 2

    def states():
        return {part["name"]: part["status"] for part in api.ask("GET", "/operations/health")[1]["parts"]}

    wait_until(lambda: {states()[name] for name in ("broker", "replica", f"worker: 127.0.0.1:{worker.port}")} == {"ok"})
    assert states()["standby"] == "absent"
    worker.end()
    wait_until(
        lambda: any(
            part["name"].startswith("worker: ") and part["status"] == "failed"
            for part in api.ask("GET", "/operations/health")[1]["parts"]
        )
    )


HOSTILE = """
from datetime import datetime
import msgspec
from penstock import Detector, Entity, Rule

class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    merchant: str | None = None

detector = Detector(
    name="mine", event=Payment, id="transaction_id", time="timestamp", features=[Entity("customer_id").count("1h")],
    rules=[Rule("exchange", "merchant LIKE '%crypto%crypto%exchange%' OR merchant ILIKE '%C_ypto%_xch_nge%'", then="review")],
)
"""


def test_a_hostile_text_goes_to_quarantine_by_name_and_the_owner_and_the_next_one_go_on(url, tmp_path):
    file = tmp_path / "hostile.py"
    file.write_text(HOSTILE)
    first = WorkerProcess(str(file), url, tmp_path / "first")
    second = None
    try:
        wait_until(lambda: first.owns, 240)
        behind = Behind(url, "mine")
        longest = ("crypto " * 1171)[:8192]
        texts = [None, "crypto " * 51_428, longest, "a" * 1_000_000, "Crypto Exchange"]
        behind.put("transactions", [payment(f"t{k}", merchant=text) for k, text in enumerate(texts)])
        wait_until(lambda: len(behind.bodies("decisions")) == 3)
        first.kill()
        second = WorkerProcess(str(file), url, tmp_path / "second")
        wait_until(lambda: second.owns, 240)
        behind.put("transactions", [payment("t5", merchant="a" * 8193), payment("t6", merchant=longest)])
        wait_until(lambda: len(behind.bodies("decisions")) == 4)
        decided = {each["transaction_id"]: each["decision"] for each in behind.read("decisions")}
        assert decided == {"t0": "APPROVE", "t2": "APPROVE", "t4": "REVIEW", "t6": "APPROVE"}
        wait_until(lambda: len(behind.bodies("quarantine")) == 3)
        assert [(each["field"], each["cause"].split(";")[0]) for each in behind.read("quarantine")] == [
            ("merchant", f"merchant has {size:,} bytes of UTF-8 and at most 8,192 are accepted")
            for size in (359_996, 1_000_000, 8_193)
        ]
        behind.close()
    finally:
        for each in (first, second):
            if each is not None:
                each.end()
