"""Replays asked for over HTTP: answered at once with the ids that they really carry, bounded, and ended with the service."""

import asyncio
import itertools
import time
from dataclasses import dataclass, field

import pytest
from tests.waiting import wait_until_async

from penstock.errors import DataError
from penstock.service.live import replay_jobs


@dataclass
class Replay:
    ids: list
    make: object

    def bodies(self):
        return map(self.make, self.ids)


@dataclass
class Replays:
    """Replays for one detector, of payments; a source may be one that cannot be read, or end early."""

    make: object
    known: dict = field(default_factory=lambda: {"fake": ["simulator", "short", "broken"]})
    numbers: object = field(default_factory=itertools.count)

    def sources(self, detector):
        return self.known.get(detector, [])

    def open(self, detector, source, count):
        if source == "broken":
            raise DataError("/somewhere/on/this/machine.csv: there is no column amount")
        return Replay([f"s{next(self.numbers)}" for _ in range(min(count, 7) if source == "short" else count)], self.make)


@pytest.fixture
def replays(payment):
    return Replays(lambda name: payment(0, transaction_id=name))


@pytest.fixture
def scene(client_for, engine, replays, run):
    def play(work, *engines, **options):
        async def whole():
            async with client_for(*(engines or [engine]), **({"replays": replays} | options)) as client:
                return await work(client)

        return run(whole(), 120)

    return play


async def decided(engine, count):
    def ids():
        return [name for names, _ in engine.batches for name in names]

    await wait_until_async(lambda: len(ids()) >= count)
    return ids()


@pytest.mark.parametrize("body", [b"", b" \n", b"{}", b'{"source":"simulator"}'])
def test_without_a_wish_a_hundred_simulated_transactions_are_replayed(scene, engine, body):
    async def work(client):
        answer = await client.post("/stream", content=body)
        return answer, await decided(engine, 100)

    answer, ids = scene(work)
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["detector"], answer.json()["source"]) == ("queued", "fake", "simulator")
    assert answer.json()["transaction_ids"] == ids
    assert len(ids) == 100


def test_ids_are_those_that_a_shorter_source_really_has(scene, engine):
    async def work(client):
        answer = await client.post("/stream", json={"source": "short", "count": 50})
        return answer.json()["transaction_ids"], await decided(engine, 7)

    promised, ids = scene(work)
    assert promised == ids
    assert len(ids) == 7


def test_a_pace_is_kept_and_the_answer_does_not_wait_for_it(scene, engine):
    async def work(client):
        began = time.perf_counter()
        await client.post("/stream", json={"count": 200, "tps": 100})
        by_then = len(await decided(engine, 0))
        await decided(engine, 200)
        return by_then, time.perf_counter() - began

    by_then, took_s = scene(work)
    assert by_then < 200
    assert 1.9 < took_s < 9, "one each time that it looks would take ten seconds"


def test_every_transaction_is_handed_in_also_where_some_are_turned_away_at_first(scene, engine):
    from penstock.errors import LedgerFull

    async def work(client):
        engine.raises = LedgerFull("no room is left")
        answer = await client.post("/stream", json={"count": 600})
        await asyncio.sleep(0.3)
        assert engine.batches == []
        engine.raises = None
        return answer.json()["transaction_ids"], await decided(engine, 600)

    promised, ids = scene(work)
    assert promised == ids


def test_the_first_detector_that_has_the_source_is_taken_or_the_one_that_is_named(scene, make_engine, replays):
    engines = [make_engine(name="one"), make_engine(name="two"), make_engine(name="three")]
    replays.known = {"two": ["simulator"], "three": ["simulator", "file"]}

    async def work(client):
        return [
            (await client.post("/stream", json=wish)).json()
            for wish in ({"count": 1}, {"count": 1, "source": "file"}, {"count": 1, "detector": "three"})
        ]

    assert [found["detector"] for found in scene(work, *engines)] == ["two", "three", "three"]


@pytest.mark.parametrize(
    ("body", "status", "fault"),
    [
        (b"nonsense", 400, None),
        (b"\xff", 400, None),
        (b"[" * 100_000, 422, None),
        (b"[]", 422, None),
        (b"null", 422, None),
        (b'{"count":0}', 422, "count"),
        (b'{"count":100001}', 422, "count"),
        (b'{"count":1.5}', 422, "count"),
        (b'{"tps":0}', 422, "tps"),
        (b'{"tps":"fast"}', 422, "tps"),
        (b'{"count":100000,"tps":0.001}', 422, "count"),
        (b'{"detector":"nope"}', 422, "detector"),
        (b'{"source":"/etc/passwd"}', 422, "source"),
        (b'{"source":"../short"}', 422, "source"),
        (b'{"path":"/etc/passwd"}', 422, "path"),
    ],
)
def test_what_cannot_be_replayed_is_refused_with_the_field(scene, engine, body, status, fault):
    response = scene(lambda client: client.post("/stream", content=body))
    assert response.status_code == status
    assert response.json()["detail"]
    if status == 422:
        assert response.json()["errors"][0]["field"] == fault
    assert engine.batches == []


def test_a_file_that_cannot_be_read_is_a_refusal_that_does_not_show_where_it_lies(scene, caplog):
    response = scene(lambda client: client.post("/stream", json={"source": "broken"}))
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "source")
    assert "machine.csv" not in response.text
    assert "machine.csv" in caplog.text


def test_a_service_without_sources_says_what_there_is(scene):
    response = scene(lambda client: client.post("/stream"), replays=None)
    assert (response.status_code, "fake: nothing" in response.json()["detail"]) == (422, True)


def test_no_more_replays_run_than_there_is_room_for_and_ended_ones_make_room(scene, engine):
    async def work(client):
        slow = [await client.post("/stream", json={"count": 1000, "tps": 10}) for _ in range(replay_jobs.MOST_AT_ONCE)]
        return slow, await client.post("/stream")

    slow, refused = scene(work)
    assert {answer.status_code for answer in slow} == {200}
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1

    async def again(client):
        async def let_in():  # once those before have ended
            status = (await client.post("/stream", json={"count": 1})).status_code
            return status != 429 and status

        return [await wait_until_async(let_in) for _ in range(2 * replay_jobs.MOST_AT_ONCE)]

    assert set(scene(again)) == {200}


def test_a_pace_above_a_portion_each_tick_is_not_held_back(scene, engine, monkeypatch):
    monkeypatch.setattr(replay_jobs, "TICK_S", 1.0)

    async def work(client):
        began = time.perf_counter()
        await client.post("/stream", json={"count": 4096, "tps": 100_000})
        await decided(engine, 4096)
        return time.perf_counter() - began

    assert scene(work) < 4096 / replay_jobs.PORTION * 1.0 / 2


def test_a_replay_that_breaks_off_says_so_in_the_log(scene, replays, caplog):
    def broken(name):
        raise ZeroDivisionError(name)

    replays.make = broken

    async def work(client):
        answer = await client.post("/stream")
        await wait_until_async(lambda: "a replay ended before its end" in caplog.text)
        return answer

    assert scene(work).status_code == 200


def test_a_replay_ends_with_the_service(scene, engine):
    began = time.perf_counter()
    scene(lambda client: client.post("/stream", json={"count": 1000, "tps": 1}))
    assert time.perf_counter() - began < 60, "the replay takes a quarter of an hour"
    assert engine.closed
