"""A condition is tried over HTTP: the same answer as in Python, and a cause for whatever cannot be tried."""

import asyncio
import contextlib
import threading

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from tests.service.mine import detector as mine

from penstock import Engine
from penstock.config import Settings
from penstock.ledger.archive import Archive
from penstock.offline.backtest import BacktestResult, backtest
from penstock.service import MicroBatcher, create_app
from penstock.service.changes import backtests as backtest_routes
from penstock.service.changes.backtests import Backtests
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.problems import RequestRefused

AT = "2026-02-06T1{}:{:02}:00Z"


def payments(count=40):
    return [
        {
            "transaction_id": f"tx{k}",
            "timestamp": AT.format(k // 60, k % 60),
            "customer_id": f"C{k % 5}",
            "terminal_id": "T1",
            "amount": float(k),
        }
        for k in range(count)
    ]


@pytest.fixture
def engine(tmp_path):
    with Engine(mine, data=tmp_path) as opened:
        opened.decide_many(payments())
        opened.ledger.flush()
        yield opened


@pytest.fixture
def play(engine, tmp_path, run):
    """Runs a coroutine with a client of a service over the engine."""

    async def whole(work):
        settings = Settings(data=tmp_path)
        app = create_app({mine.name: MicroBatcher.of(engine, settings)}, settings)
        async with app.app.router.lifespan_context(app.app):
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await work(client)

    return lambda work: run(whole(work))


@pytest.fixture
def ask(play):
    """Posts a body to the route; the response."""
    return lambda body, name=mine.name: play(lambda client: client.post(f"/detectors/{name}/backtest", json=body))


def test_the_answer_is_that_of_a_backtest(ask, engine):
    with Archive(engine.ledger) as archive:
        wanted = backtest(archive, mine, "amount > 30", then="review", days=3, now_us=engine.clock())
    answer = msgspec.json.decode(ask({"when": "amount > 30", "then": "review", "days": 3}).content, type=BacktestResult)
    assert msgspec.structs.replace(answer, seconds=0) == msgspec.structs.replace(wanted, seconds=0)
    assert (answer.read, answer.matched) == (40, 9)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"when": "amuont > 1"}, 422, "at 'amuont', character 1"),
        ({"when": "amount"}, 422, "condition"),
        ({"when": ""}, 422, "an expression"),
        ({"when": "amount > 1", "then": "stop"}, 422, "then"),
        ({"when": "amount > 1", "days": 0}, 422, "days"),
        ({"then": "block"}, 422, "when"),
        ([], 422, "object"),
    ],
)
def test_what_cannot_be_tried_is_refused_with_the_place(ask, body, status, said):
    response = ask(body)
    assert response.status_code == status
    assert said in response.json()["detail"]
    assert response.json()["errors"]


def test_an_unknown_detector_is_not_found(ask):
    assert ask({"when": "amount > 1"}, name="other").status_code == 404


def test_one_backtest_of_a_detector_runs_at_a_time(play, monkeypatch):
    asked, running, go_on = Archive.query, threading.Event(), threading.Event()

    def held(*given, **more):
        running.set()
        go_on.wait(60)
        return asked(*given, **more)

    monkeypatch.setattr(Archive, "query", held)

    async def three(client):
        path, body = f"/detectors/{mine.name}/backtest", {"when": "amount > 1"}
        first = asyncio.create_task(client.post(path, json=body))
        await asyncio.to_thread(running.wait, 60)
        second = await client.post(path, json=body)
        go_on.set()
        return await first, second, await client.post(path, json=body)

    first, second, third = play(three)
    assert [each.status_code for each in (first, second, third)] == [200, 429, 200]
    assert second.headers["retry-after"]


def test_a_backtest_that_takes_too_long_is_stopped(ask, monkeypatch):
    monkeypatch.setitem(Backtests.__init__.__kwdefaults__, "limit_s", 0.0)
    response = ask({"when": "amount > 1"})
    assert response.status_code == 422
    assert "stopped after 0 s" in response.json()["detail"]


def test_a_new_version_of_a_rule_is_not_said_to_be_caught_by_the_one_before(play):
    rule, path = mine.rules[0], f"/detectors/{mine.name}/backtest"
    asked = {"when": rule.when, "then": "review", "days": 3}

    async def both(client):
        return [(await client.post(path, json={**asked, **more})).json() for more in ({}, {"rule": rule.name})]

    alone, version = play(both)
    assert alone["caught"] == alone["matched"] > 0
    assert (version["caught"], version["new"]) == (0, version["matched"])


def test_a_backtest_that_nobody_waits_for_ends_before_its_next_query(engine, tmp_path, run, monkeypatch):
    asked, queries, running, left = Archive.query, [], threading.Event(), threading.Event()

    def held(*given, **more):
        queries.append(given)
        running.set()
        left.wait(60)
        return asked(*given, **more)

    monkeypatch.setattr(Archive, "query", held)
    settings = Settings(data=tmp_path)
    backtests = Backtests(DetectorRouter({mine.name: MicroBatcher.of(engine, settings)}), settings)

    async def gone_meanwhile():
        routes = FastAPI()
        [route] = backtest_routes.route
        route.add(routes, {Backtests: backtests, Settings: settings})
        body = msgspec.json.encode({"when": "amount > 1"})
        messages = iter([{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}])

        async def receive():
            message = next(messages)
            if message["type"] == "http.disconnect":
                await asyncio.to_thread(running.wait, 60)
                asyncio.get_running_loop().call_soon(left.set)  # by then the route has read the message
            return message

        async def send(_message):
            pass

        path = f"/detectors/{mine.name}/backtest"
        scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": []}
        await routes(scope, receive, send)
        await backtests.close()

    with contextlib.suppress(RequestRefused):
        run(gone_meanwhile())
    assert len(queries) == 1
