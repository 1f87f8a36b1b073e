"""Transactions that are handed in and asked about later: whoever waits is told at once, and holds nobody up."""

import asyncio
import json
import time
from types import SimpleNamespace

import pytest
from tests.service import patient
from tests.waiting import wait_until_async

from penstock import Engine
from penstock.config import Settings
from penstock.ledger import FallbackAnswer
from penstock.service import MicroBatcher, create_app
from penstock.service.decide import waiters
from penstock.service.decide.broker_client import BrokerClient

NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture
def scene(client_for, engine, run):
    """Runs a coroutine with a client of a service with one scripted engine."""

    def play(work, *engines):
        async def whole():
            async with client_for(*(engines or [engine])) as client:
                return await work(client)

        return run(whole(), 90)

    return play


# ---------------------------------------------------------------- handing in


def test_a_transaction_is_accepted_with_its_id_and_is_durable_then(scene, engine, payment):
    response = scene(lambda client: client.post("/transactions", content=payment(1)))
    assert response.status_code == 202
    assert response.json() == {"transaction_id": "tx1", "status": "accepted"}
    assert engine.batches == [(["tx1"], False)]


def test_many_are_answered_in_their_form_malformed_ones_in_their_place(scene, payment):
    array = scene(lambda client: client.post("/detectors/fake/transactions", content=b"[" + payment(1) + b",{}]"))
    assert array.status_code == 202
    assert [one.get("transaction_id", one.get("status")) for one in array.json()] == ["tx1", 422]
    lines = scene(lambda client: client.post("/transactions", content=payment(2) + b"\nnonsense\n", headers=NDJSON))
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["status"] for line in lines.text.splitlines()] == ["accepted", 400]


@pytest.mark.parametrize(("body", "status"), [(b"{}", 422), (b"nonsense", 400), (b"", 400), (b"[", 400)])
def test_what_cannot_be_a_transaction_is_refused(scene, body, status):
    assert scene(lambda client: client.post("/transactions", content=body)).status_code == status


def test_a_transaction_goes_to_the_detector_that_it_fits_or_that_is_named(scene, make_engine, payment):
    engines = [make_engine(name="one"), make_engine(name="two")]
    assert scene(lambda client: client.post("/detectors/two/transactions", content=payment(1)), *engines).status_code == 202
    assert [len(engine.batches) for engine in engines] == [0, 1]
    assert scene(lambda client: client.post("/transactions", content=payment(1)), *engines).status_code == 422
    assert scene(lambda client: client.post("/detectors/nope/transactions", content=payment(1))).status_code == 404


# ---------------------------------------------------------------- asking what became of it


def test_what_was_decided_is_told_and_an_id_that_nobody_submitted_is_not_found(scene, payment):
    async def work(client):
        await client.post("/transactions", content=payment(1, amount=5000))
        return await client.get("/transaction/tx1/status"), await client.get("/transaction/tx2/status")

    processed, unknown = scene(work)
    assert (processed.status_code, processed.json()["status"], processed.json()["decision"]) == (200, "processed", "BLOCK")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_transaction")


def test_what_waits_to_be_decided_is_pending_and_says_when_to_ask_again(scene, engine, payment, monkeypatch):
    async def work(client):
        batcher = client.app.served("fake")
        monkeypatch.setattr(MicroBatcher, "_wake", lambda _self: None)  # nothing is taken from the queue
        waiting = [asyncio.create_task(client.post(path, content=payment(n))) for n, path in enumerate(PATHS)]
        await wait_until_async(lambda: batcher.queued_events == len(PATHS), within_s=20)
        answers = [await client.get(f"/transaction/tx{n}/status") for n in range(len(PATHS) + 1)]
        monkeypatch.undo()
        await client.post("/predict", content=payment(9))  # takes the others with it
        await asyncio.gather(*waiting)
        return answers

    queued, dry, never = scene(work)
    assert queued.status_code == 202
    assert queued.json() == {"transaction_id": "tx0", "status": "pending", "retry_after": 1}
    assert queued.headers["retry-after"] == "1"
    assert (dry.status_code, never.status_code) == (404, 404), "a dry run submits nothing"


PATHS = ["/transactions", "/predict?dry_run=true"]


@pytest.mark.parametrize("name", ['a/b "c"', "ü", 'x","detector":"y'])
def test_whoever_waits_is_told_as_soon_as_the_decision_is_durable(scene, engine, payment, name):
    from urllib.parse import quote

    async def work(client):
        asking = asyncio.create_task(client.get(f"/transaction/{quote(name, safe='')}/status?wait_seconds=20"))
        await asyncio.sleep(0.1)
        assert not asking.done()
        began = time.perf_counter()
        engine.hold()
        handed_in = asyncio.create_task(client.post("/transactions", content=payment(1, transaction_id=name)))
        await asyncio.sleep(0.1)
        assert not asking.done() or engine.queries.transaction(name) is not None
        engine.release()
        await handed_in
        return await asking, time.perf_counter() - began

    engine_says = json.dumps
    try:
        json.dumps = lambda value, **options: engine_says(value, **options, ensure_ascii=False)
        response, took_s = scene(work)
    finally:
        json.dumps = engine_says
    assert (response.status_code, response.json()["transaction_id"]) == (200, name)
    assert took_s < 15, "who is not woken waits for 20 seconds"


def test_many_wait_for_nothing_and_others_are_answered_meanwhile(scene, engine, payment):
    async def work(client):
        waiting = [asyncio.create_task(client.get(f"/transaction/none{n}/status?wait_seconds=30")) for n in range(200)]
        feed = client.app.served("fake").feed
        await wait_until_async(lambda: feed.watch.callers == 200, within_s=20)
        began = time.perf_counter()
        answer = await client.post("/predict", content=payment(1))
        took_s = time.perf_counter() - began
        assert feed.watch.callers == 200
        feed.watch.cancel_all()  # as when their time is over
        answers = await asyncio.gather(*waiting)
        assert not feed.watch.waiting_for
        assert feed.watch.callers == 0
        return answer, took_s, answers

    answer, took_s, answers = scene(work)
    assert answer.status_code == 200
    assert took_s < 8
    assert {answer.status_code for answer in answers} == {404}


def test_no_more_wait_than_there_is_room_for(scene, monkeypatch):
    monkeypatch.setattr(waiters, "MOST_WAITING", 3)

    async def work(client):
        return await asyncio.gather(*(client.get("/transaction/none/status?wait_seconds=3") for _ in range(5)))

    assert sorted(answer.status_code for answer in scene(work)) == [404, 404, 404, 503, 503]


@pytest.mark.parametrize("wait", ["-1", "31", "nan", "inf", "x"])
def test_a_wait_that_cannot_be_is_422(scene, wait):
    response = scene(lambda client: client.get(f"/transaction/tx1/status?wait_seconds={wait}"))
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "wait_seconds")


def test_whoever_waits_is_let_go_when_the_service_stops(engine, serve_in_thread):
    import threading

    settings, answers = Settings(), []
    app = create_app({"fake": MicroBatcher.of(engine, settings)}, settings)
    with serve_in_thread(app) as url:
        asking = threading.Thread(target=lambda: answers.append(patient.get(url + "/transaction/none/status?wait_seconds=30")))
        asking.start()
        while not app.served("fake").feed.watch.waiting_for:
            time.sleep(0.01)
        began = time.monotonic()
    asking.join()
    assert time.monotonic() - began < 15, "who is not let go is waited for"
    assert answers[0].status_code == 404


def test_several_detectors_are_asked_together_or_one_alone(scene, make_engine, payment):
    engines = [make_engine(name="one"), make_engine(name="two")]

    async def work(client):
        asking = asyncio.create_task(client.get("/transaction/tx1/status?wait_seconds=10"))
        await asyncio.sleep(0.05)
        await client.post("/detectors/two/transactions", content=payment(1))
        found = await asking
        of_one = await client.get("/transaction/tx1/status?detector=one")
        return found, of_one, await client.get("/transaction/x/status?detector=no")

    found, of_one, unknown = scene(work, *engines)
    assert (found.status_code, found.json()["detector"]) == (200, "two")
    assert (of_one.json()["code"], unknown.json()["code"]) == ("unknown_transaction", "not_found")


def test_what_a_caller_was_told_stands_beside_the_decision(scene, engine, payment):
    engine.told["tx1"] = FallbackAnswer("fake", "tx1", "REVIEW", "no answer within 100 ms", 1_000_000)

    async def work(client):
        await client.post("/predict", content=payment(1))
        await client.post("/predict", content=payment(2))
        return (await client.get("/transactions/tx1")).json(), (await client.get("/transactions/tx2")).json()

    told, plain = scene(work)
    assert told["decision"] == "APPROVE"
    assert told["answered"] == {
        "decision": "REVIEW",
        "degraded": "no answer within 100 ms",
        "answered_at": "1970-01-01T00:00:01Z",
    }
    assert "answered" not in plain


def test_beside_a_worker_whoever_waits_is_woken_when_the_decision_can_be_looked_up(mine, tmp_path, run, payment):
    async def scene():
        with Engine(mine, data=tmp_path) as replica:
            beside = BrokerClient("mine", None, Settings())
            beside.followed = SimpleNamespace(engine=replica)
            with beside.feed.watch.waiting(b'"tx1"') as woken:
                replica.decide_json([payment(1)])
                record, _row = replica.ledger.record_of(0)
                replica.ledger.flush()
                beside.show([record])
                await asyncio.wait_for(woken, 15)
                assert beside.feed.outcomes == {"APPROVE": 1}
                return replica.history.outcome("tx1")

    assert run(scene())["decision"] == "APPROVE"
