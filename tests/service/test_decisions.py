"""A real engine behind real HTTP: what was decided can be looked up, explained, labelled and repeated."""

import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from tests.waiting import wait_until

MINE = str(Path(__file__).with_name("mine.py"))


def payment(number, customer="C1", amount=20.0, at="2026-02-06T10:00:00Z", **more):
    return {"transaction_id": f"tx{number}", "timestamp": at, "customer_id": customer, "amount": amount} | more


@pytest.fixture
def client(real):
    with httpx.Client(base_url=real, timeout=60) as opened:
        yield opened


def test_a_decision_says_everything_and_is_found_again_as_it_was_answered(client):
    for number in range(3):
        client.post("/predict", json=payment(number))
    answer = client.post("/predict", json=payment(3, amount=900.0))
    decision = answer.json()
    assert (decision["decision"], decision["prediction"], decision["is_fraud"]) == ("BLOCK", "FRAUD", True)
    assert [rule["name"] for rule in decision["explanation"]["rules"]] == ["fourth_in_an_hour", "amount_spike"]
    assert "900" in decision["explanation"]["reasons"][0]["text"]
    assert decision["features"]["customer_count_1h"] == 4
    assert client.get("/transactions/tx3").content == answer.content


def test_the_same_id_gets_the_first_decision_and_a_mark_where_the_content_differs(client):
    first = client.post("/predict", json=payment(1)).json()
    assert client.post("/predict", json=payment(1)).json() == first
    assert client.post("/predict", json=payment(1, amount=999.0)).json() == first | {"conflict": True}
    assert client.get("/entities/customer/C1").json()["features"]["customer_count_1h"] == 1
    assert 'penstock_duplicates_total{detector="mine"} 2.0' in client.get("/metrics").text


def test_a_dry_run_changes_and_records_nothing(client):
    assert client.post("/predict?dry_run=true", json=payment(1)).status_code == 200
    assert client.get("/transactions/tx1").status_code == 404
    assert client.get("/entities/customer/C1").status_code == 404
    assert client.get("/stats").json()["total"] == 0


def test_decisions_are_listed_newest_first_page_by_page_and_by_what_is_asked(client):
    events = [payment(n, customer=f"C{n % 2}", at=f"2026-02-06T10:00:{n:02}Z") for n in range(10)]
    assert len(client.post("/predict", json=events).json()) == 10
    seen, before = [], None
    while True:
        page = client.get("/transactions", params={"limit": 4} | ({"before": before} if before else {})).json()
        seen += [decision["transaction_id"] for decision in page["transactions"]]
        before = page["next"]
        if before is None:
            break
    assert seen == [f"tx{n}" for n in reversed(range(10))]

    def listed(**params):
        return [decision["transaction_id"] for decision in client.get("/transactions", params=params).json()["transactions"]]

    assert listed(decision="review") == ["tx9", "tx8", "tx7", "tx6"]
    assert listed(entity="customer", key="C1") == ["tx9", "tx7", "tx5", "tx3", "tx1"]
    assert listed(**{"from": "2026-02-06T10:00:02Z", "to": "2026-02-06T10:00:04Z"}) == ["tx3", "tx2"]
    unknown = client.get("/transactions", params={"entity": "planet", "key": "x"})
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "entity")


def test_informing_events_and_labels_enter_state(client):
    login = {"type": "Login", "transaction_id": "l1", "timestamp": "2026-02-06T09:59:00Z", "customer_id": "C1"}
    assert client.post("/events", json=login).json() == {"accepted": 1, "refused": []}
    assert client.post("/events", json=payment(7)).status_code == 422
    mixed = client.post("/events", json=[payment(8), login | {"transaction_id": "l2"}, {"type": "Parade"}]).json()
    assert (mixed["accepted"], [refused["index"] for refused in mixed["refused"]]) == (1, [0, 2])
    assert client.post("/predict", json=payment(8)).status_code == 200, "what was refused is no duplicate later"
    assert client.post("/predict", json=payment(1)).json()["features"]["logins"] == 2
    assert (
        client.post("/labels", json={"transaction_id": "tx1", "fraud": True, "kind": "chargeback"}).json()["accepted"] is True
    )
    assert client.post("/labels", json={"transaction_id": "nobody", "fraud": True}).status_code in {404, 422}


def test_statistics_count_what_was_decided(client):
    client.post("/predict", json=[payment(n, amount=100.0) for n in range(4)])
    stats = client.get("/stats").json()
    assert (stats["total"], stats["approve"], stats["review"], stats["block"]) == (4, 3, 1, 0)
    assert (stats["fraud_rate"], stats["amount"]) == (0.25, 400.0)
    assert stats["latency_ms"]["p99"] > 0
    detector = client.get("/detectors").json()["detectors"][0]
    assert (detector["name"], detector["informs"]) == ("mine", ["Login"])


# ---------------------------------------------------------------- the process


class Process:
    """`penstock serve mine.py` as a process of its own."""

    def __init__(self, folder, *detectors, port=0):
        options = ["--port", str(port), "--data", str(folder)]
        command = [sys.executable, "-m", "penstock.cli", "serve", *(detectors or [MINE]), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines, self._ready = [], threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith("serving "):
                self._ready.set()
        self._ready.set()  # it has ended

    def wait_until_ready(self):
        """Its address, once it says that it serves there: it takes a free port itself, so nobody else can take it before."""
        self._ready.wait(300)
        found = re.search(r"^serving .+ on (http://127\.0\.0\.1:(\d+)) ", self.said, re.MULTILINE)
        assert found, f"not ready: {self.stop()}"
        self.url, self.port = found[1], int(found[2])

    def stop(self):
        self.process.terminate()
        return self.ended()

    def ended(self):
        """Its exit code and all it said, once it has ended."""
        code = self.process.wait(120)
        self._reader.join(60)
        return code, self.said

    @property
    def said(self):
        return "".join(self.lines)

    def close(self):
        self.process.kill()
        self.process.wait(60)
        self._reader.join(60)
        self.process.stdout.close()


@pytest.fixture
def start(tmp_path):
    started = []

    def start(*detectors, port=0):
        started.append(Process(tmp_path / "data", *detectors, port=port))
        return started[-1]

    yield start
    for service in started:
        service.close()


def test_asked_to_stop_under_load_it_answers_what_it_accepted_and_forgets_nothing(start):
    service = start()
    service.wait_until_ready()
    acknowledged, stopping = [], threading.Event()

    def ask(worker):
        with httpx.Client(base_url=service.url, timeout=60) as client:
            for number in range(100_000):
                try:
                    answer = client.post("/predict", json=payment(f"{worker}-{number}", customer=f"C{worker}"))
                except httpx.TransportError:
                    assert stopping.is_set(), "nobody is cut off before the stop"
                    return
                acknowledged.append(answer.json()["transaction_id"])

    workers = [threading.Thread(target=ask, args=(k,)) for k in range(4)]
    for worker in workers:
        worker.start()
    wait_until(lambda: len(acknowledged) >= 100)
    stopping.set()
    code, said = service.stop()
    assert (code, said.splitlines()[-1]) == (0, f"serving mine on {service.url}  (Ctrl-C stops)")
    assert "Traceback" not in said
    for worker in workers:
        worker.join()
    again = start()
    again.wait_until_ready()
    with httpx.Client(base_url=again.url, timeout=60) as client:
        assert client.get("/stats").json()["total"] >= len(acknowledged) > 0
        for transaction_id in (*acknowledged[:20], *acknowledged[-20:]):
            assert client.get(f"/transactions/{transaction_id}").status_code == 200


def test_several_detectors_share_one_process_and_one_folder(tmp_path, start):
    other = tmp_path / "other.py"
    other.write_text(Path(MINE).read_text().replace('name="mine"', 'name="other"').replace("customer", "account"))
    service = start(MINE, str(other))
    service.wait_until_ready()
    with httpx.Client(base_url=service.url, timeout=60) as client:
        events = [payment(1), {k.replace("customer", "account"): v for k, v in payment(2).items()}]
        assert [answer["detector"] for answer in client.post("/predict", json=events).json()] == ["mine", "other"]
        assert client.get("/transactions/tx2").json()["detector"] == "other"
        listed = client.get("/transactions", params={"limit": 1}).json()
        rest = client.get("/transactions", params={"limit": 1, "before": listed["next"]}).json()
        assert {d["transaction_id"] for d in (*listed["transactions"], *rest["transactions"])} == {"tx1", "tx2"}
        assert client.post("/labels", json={"transaction_id": "tx2", "fraud": True}).status_code == 200
        assert client.get("/stats").json()["total"] == 2
    assert service.stop()[0] == 0


def test_a_port_or_folder_in_use_ends_it_with_a_sentence_and_exit_code_2(start):
    first = start()
    first.wait_until_ready()
    there, here = start(port=first.port), start()
    code, said = there.ended()
    assert code == 2
    assert "another process listens there already" in said
    assert "Traceback" not in said
    code, said = here.ended()
    assert code == 2
    assert "Traceback" not in said


def test_what_was_decided_is_json_that_any_client_reads(client):
    answer = client.post(
        "/predict",
        content=b"\n".join(json.dumps(payment(n)).encode() for n in range(3)),
        headers={"content-type": "application/x-ndjson"},
    )
    assert [json.loads(line)["transaction_id"] for line in answer.iter_lines()] == ["tx0", "tx1", "tx2"]
