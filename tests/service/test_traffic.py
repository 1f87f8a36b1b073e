"""Simulated traffic goes through the batcher at its rate, and attacks start when asked for."""

import asyncio
import itertools
import queue
import time

from tests.waiting import wait_until_async

from penstock.config import Settings
from penstock.service import MicroBatcher, TrafficSender


async def counted(batcher, least):
    """Return when so many were decided."""
    await wait_until_async(lambda: batcher.feed.count >= least)


def test_traffic_keeps_its_rate_and_remembers_an_example(engine, payment, run):
    async def scene():
        batcher = MicroBatcher.of(engine, Settings())
        traffic = TrafficSender("fake", map(payment, itertools.count()), tps=400)
        start = time.perf_counter()
        task = asyncio.create_task(traffic.run(batcher))
        await counted(batcher, 400)
        task.cancel()
        return batcher.feed.count / (time.perf_counter() - start), traffic.example

    rate, example = run(scene(), 90)
    assert 40 <= rate <= 420, "one each time that it looks would be 20 a second"
    assert b'"transaction_id"' in example


def test_traffic_ends_with_its_source(engine, payment, run):
    async def scene():
        batcher = MicroBatcher.of(engine, Settings())
        await TrafficSender("fake", iter([payment(1), payment(2)]), tps=1000).run(batcher)
        return batcher.feed.count

    assert run(scene()) == 2


def test_traffic_that_is_turned_away_goes_on_later(engine, payment, run):
    async def scene():
        batcher = MicroBatcher.of(engine, Settings())
        engine.ready = "not yet"
        task = asyncio.create_task(TrafficSender("fake", map(payment, itertools.count()), tps=200).run(batcher))
        await asyncio.sleep(0.2)
        assert batcher.feed.count == 0
        engine.ready = None
        await counted(batcher, 1)
        task.cancel()

    run(scene(), 90)


def test_attacks_can_be_started_only_where_there_is_simulated_traffic(client_for, engine, run):
    traffic = TrafficSender("fake", iter([]), tps=1, attacks={"card_testing": lambda: ["tx7", "tx9"]})

    async def scene(**options):
        async with client_for(engine, **options) as client:
            return (
                await client.post("/demo/attack/card_testing"),
                await client.post("/demo/attack/nope"),
                (await client.get("/live/setup")).json(),
            )

    known, unknown, setup = run(scene(traffic=traffic))
    assert (known.status_code, unknown.status_code, setup["attacks"]) == (202, 404, ["card_testing"])
    assert known.json() == {"attack": "card_testing", "transactions": ["tx7", "tx9"]}
    known, _, setup = run(scene())
    assert (known.status_code, setup["attacks"]) == (404, [])


def test_labels_of_simulated_traffic_reach_the_same_detector(engine, payment, run):
    known = queue.SimpleQueue()
    known.put(b'{"transaction_id": "tx1", "fraud": true}')
    known.put(b'{"transaction_id": "tx2", "fraud": false}')

    async def scene():
        await TrafficSender("fake", iter([payment(1), payment(2)]), tps=1000, labels=known).run(
            MicroBatcher.of(engine, Settings())
        )

    run(scene())
    assert [label["transaction_id"] for label in engine.labels] == ["tx1", "tx2"]
