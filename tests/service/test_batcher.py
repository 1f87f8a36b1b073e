"""A micro-batcher joins waiting requests, keeps their order, bounds its queue, and answers only what is durable."""

import asyncio
import json

import pytest

from penstock.config import Settings
from penstock.errors import LedgerFull, NotReady
from penstock.messages import Refusal
from penstock.service import MicroBatcher
from penstock.service.decide.batcher import STALLED_S
from penstock.service.http.problems import Busy, RequestRefused


def ids(answers):
    return [json.loads(answer)["transaction_id"] for answer in answers]


def test_requests_that_arrive_together_are_one_batch_and_each_gets_its_own_answers(engine, payment, run):
    async def scene():
        batcher = MicroBatcher.of(engine, Settings())
        one, two = batcher.submit([payment(1), payment(2)]), batcher.submit([payment(3)])
        return await one, await two

    one, two = run(scene())
    assert ids(one) == ["tx1", "tx2"]
    assert ids(two) == ["tx3"]
    assert [batch for batch, _ in engine.batches] == [["tx1", "tx2", "tx3"]]


def test_whoever_is_told_without_a_future_keeps_nobody_from_an_answer(engine, payment, run, caplog):
    async def scene():
        batcher, told = MicroBatcher.of(engine, Settings()), []

        def broken(answer):
            told.append(answer)
            raise RuntimeError("the connection is gone")

        batcher.ask(payment(1), broken)
        batcher.ask(b"{}", told.append)
        return await batcher.submit([payment(2)]), told

    answers, told = run(scene())
    assert ids(answers) == ["tx2"]
    assert ids(told[:1]) == ["tx1"]
    assert told[1].status == 422
    assert "an answer could not be sent" in caplog.text


def test_nobody_is_answered_before_the_batch_is_durable(engine, payment, run):
    async def scene():
        batcher = MicroBatcher.of(engine, Settings())
        engine.hold()
        answer = batcher.submit([payment(1)])
        await asyncio.sleep(0.05)
        assert engine.batches, "it was decided"
        assert not answer.done(), "but not yet answered"
        engine.release()
        return await answer

    assert ids(run(scene())) == ["tx1"]


def test_a_few_events_wait_for_the_write_under_way_and_share_a_batch(engine, payment, run):
    async def scene():
        batcher = MicroBatcher.of(engine, Settings())
        engine.hold()
        waiting = []
        for number in range(6):
            waiting.append(batcher.submit([payment(number)]))
            await asyncio.sleep(0.01)
        engine.release()
        await asyncio.gather(*waiting)

    run(scene())
    assert [batch for batch, _ in engine.batches] == [["tx0"], ["tx1", "tx2", "tx3", "tx4", "tx5"]]


def test_many_events_are_decided_while_the_last_batch_is_written_but_no_third(engine, payment, run):
    async def scene():
        batcher = MicroBatcher.of(engine, Settings())
        engine.hold()
        waiting = []
        for first in (0, 100, 200):
            waiting.append(batcher.submit([payment(first + number) for number in range(100)]))
            await asyncio.sleep(0.01)
        decided_meanwhile = [len(batch) for batch, _ in engine.batches]
        engine.release()
        await asyncio.gather(*waiting)
        return decided_meanwhile

    assert run(scene()) == [100, 100]
    assert [len(batch) for batch, _ in engine.batches] == [100, 100, 100]


def test_a_batch_holds_at_most_max_batch_events(engine, payment, run):
    async def scene():
        batcher = MicroBatcher.of(engine, Settings(max_batch=4))
        await asyncio.gather(*(batcher.submit([payment(10 * k), payment(10 * k + 1)]) for k in range(5)))

    run(scene())
    assert [len(batch) for batch, _ in engine.batches] == [4, 4, 2]


def test_beyond_the_limit_requests_are_turned_away_and_counted_until_there_is_room(engine, payment, run):
    async def scene():
        batcher = MicroBatcher.of(engine, Settings(queue_limit=3))
        accepted = [batcher.submit([payment(number)]) for number in range(3)]
        with pytest.raises(Busy, match="the limit is 3"):
            batcher.submit([payment(99)])
        await asyncio.gather(*accepted)
        await batcher.submit([payment(100)])
        return batcher.measures.turned_away

    assert run(scene()) == 1


def test_a_long_list_keeps_its_order_and_lets_others_in_between(engine, payment, run):
    async def scene():
        batcher = MicroBatcher.of(engine, Settings(max_batch=4, queue_limit=8))
        long = asyncio.create_task(batcher.decide([payment(number) for number in range(20)]))
        await asyncio.sleep(0)
        other = asyncio.ensure_future(batcher.submit([payment(777)]))
        done, _ = await asyncio.wait([long, other], return_when=asyncio.FIRST_COMPLETED)
        return other in done, await long

    first, answers = run(scene())
    assert first, "the short request did not wait for the long one"
    assert ids(answers) == [f"tx{number}" for number in range(20)]


def test_an_empty_list_is_answered_with_nothing(engine, run):
    async def scene():
        return await MicroBatcher.of(engine, Settings()).decide([])

    assert run(scene()) == []


def test_dry_runs_and_real_ones_are_never_in_one_batch_and_dry_runs_do_not_wait_for_the_disk(engine, payment, run):
    async def scene():
        batcher = MicroBatcher.of(engine, Settings())
        engine.hold()
        dry = batcher.submit([payment(1)], dry_run=True)
        real = batcher.submit([payment(2)])
        await dry
        assert not real.done()
        engine.release()
        await real

    run(scene())
    assert engine.batches == [(["tx1"], True), (["tx2"], False)]


def test_a_refusal_stands_in_the_place_of_its_event(engine, payment, run):
    async def scene():
        return await MicroBatcher.of(engine, Settings()).decide([payment(1), b"{}", payment(2)])

    first, second, third = run(scene())
    assert (ids([first, third]), isinstance(second, Refusal)) == (["tx1", "tx2"], True)


def test_a_full_disk_is_a_503_for_those_it_concerns_and_not_for_those_after(engine, payment, run):
    async def scene():
        batcher = MicroBatcher.of(engine, Settings())
        engine.durable_error = LedgerFull("no room")
        with pytest.raises(RequestRefused, match="no room") as found:
            await batcher.submit([payment(1)])
        engine.durable_error = None
        return found.value.status, await batcher.submit([payment(2)])

    status, answers = run(scene())
    assert (status, ids(answers)) == (503, ["tx2"])


def test_an_unexpected_error_reaches_every_caller_of_the_batch_and_the_batcher_goes_on(engine, payment, run, caplog):
    async def scene():
        batcher = MicroBatcher.of(engine, Settings())
        engine.raises = ZeroDivisionError("a bug")
        found = await asyncio.gather(batcher.submit([payment(1)]), batcher.submit([payment(2)]), return_exceptions=True)
        engine.raises = None
        return found, await batcher.submit([payment(3)])

    found, answers = run(scene())
    assert [error.status for error in found] == [500, 500]
    assert ids(answers) == ["tx3"]
    assert "a bug" in caplog.text


def test_when_the_disk_does_not_answer_those_who_wait_are_told_and_newcomers_at_once(engine, payment, run, monkeypatch):
    monkeypatch.setattr("penstock.service.decide.batcher.STALLED_S", 0.05)
    assert STALLED_S == 30

    async def scene():
        batcher = MicroBatcher.of(engine, Settings())
        engine.hold()
        waiting = [batcher.submit([payment(0)])]
        await asyncio.sleep(0)  # it is decided, and what follows is queued before a timer can run out
        waiting += [batcher.submit([payment(1)]), batcher.submit([payment(2)])]
        for answer in waiting:
            with pytest.raises(RequestRefused, match="not confirmed"):
                await answer
        with pytest.raises(Exception, match="not confirmed"):
            batcher.submit([payment(9)])
        monkeypatch.setattr("penstock.service.decide.batcher.STALLED_S", STALLED_S)
        engine.release()
        while batcher.stalled:
            await asyncio.sleep(0.01)
        return await batcher.submit([payment(10)])

    assert ids(run(scene())) == ["tx10"]


def test_before_it_is_open_it_says_why_it_cannot_decide(engine, payment, run):
    async def scene():
        batcher = MicroBatcher("fake", lambda: engine, Settings())
        with pytest.raises(NotReady, match="state is being recovered"):
            batcher.submit([payment(1)])
        await batcher.open()
        engine.ready = "no model bundle"
        with pytest.raises(NotReady, match="no model bundle"):
            batcher.submit([payment(1)])
        engine.ready = None
        return await batcher.submit([payment(1)])

    assert ids(run(scene())) == ["tx1"]


def test_closing_answers_what_was_accepted_first(engine, payment, run):
    async def scene():
        batcher = MicroBatcher.of(engine, Settings())
        engine.hold()
        answer = batcher.submit([payment(1)])
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0.05)
        assert not engine.closed
        engine.release()
        await closing
        return answer.done(), engine.closed

    assert run(scene()) == (True, True)
