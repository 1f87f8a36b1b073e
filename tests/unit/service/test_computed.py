"""Values that are computed while callers get the newest known one."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta

from tests.waiting import wait_until_async

from penstock.service.http.computed import LEAST_REST_S, REST, ComputedValues
from penstock.testing import SetClock

NOW = datetime(2026, 1, 5, tzinfo=UTC)


class Slow:
    """A computation that counts its calls and waits until it may end."""

    def __init__(self):
        self.calls, self.may_end = 0, threading.Event()

    def __call__(self):
        self.calls += 1
        self.may_end.wait(30)
        return self.calls


def test_nobody_waits_for_a_computation_and_one_runs_for_all_who_ask():
    async def asks():
        values, compute = ComputedValues(SetClock(NOW)), Slow()
        assert [values.newest("a", 1, compute) for _ in range(3)] == [None] * 3
        compute.may_end.set()
        found = await wait_until_async(lambda: values.newest("a", 1, compute))
        assert (found.value, found.position, compute.calls) == (1, 1, 1)
        await values.close()

    asyncio.run(asks())


def test_who_needs_the_first_value_waits_for_it_and_for_no_later_one():
    async def asks():
        values, compute = ComputedValues(SetClock(NOW)), Slow()
        asking = [asyncio.ensure_future(values.first_or_newest("a", 1, compute)) for _ in range(2)]
        await wait_until_async(lambda: compute.calls)
        assert not any(each.done() for each in asking)
        compute.may_end.set()
        assert [found.value for found in await asyncio.gather(*asking)] == [1, 1]
        compute.may_end.clear()
        assert (await values.first_or_newest("a", 2, compute)).value == 1
        compute.may_end.set()
        await values.close()

    asyncio.run(asks())


def test_a_value_is_computed_again_when_the_log_has_grown_and_after_a_rest_of_twenty_times_its_duration():
    took = timedelta(seconds=3)

    async def asks():
        clock, calls = SetClock(NOW), []

        def compute():
            clock.at(NOW + len(calls) * REST * took + took)
            calls.append(clock())
            return len(calls)

        values = ComputedValues(clock)
        values.newest("a", 1, compute)
        await wait_until_async(lambda: values.newest("a", 1, compute))
        assert values.newest("a", 2, compute).value == 1  # it rests
        clock.at(NOW + REST * took + took)
        assert values.newest("a", 1, compute).value == 1  # nothing was added
        assert len(calls) == 1
        assert values.newest("a", 2, compute).value == 1  # the last one is shown while the next is computed
        newer = await wait_until_async(lambda: (found := values.newest("a", 2, compute)).value == 2 and found)
        assert (newer.position, len(calls)) == (2, 2)
        await values.close()

    asyncio.run(asks())


def test_a_failure_keeps_the_newest_value_and_is_tried_again_later(caplog):
    async def asks():
        clock, tries = SetClock(NOW), []

        def compute():
            tries.append(clock())
            if len(tries) == 1:
                raise OSError("the disk is away")
            return "counted"

        values = ComputedValues(clock)
        assert values.newest("a", 1, compute) is None
        await wait_until_async(lambda: "the disk is away" in caplog.text)
        assert values.newest("a", 1, compute) is None
        assert len(tries) == 1
        clock.at(NOW + timedelta(seconds=LEAST_REST_S))
        assert (await wait_until_async(lambda: values.newest("a", 1, compute))).value == "counted"
        await values.close()

    asyncio.run(asks())


def test_closing_waits_for_the_running_computation_and_drops_the_others():
    async def closes():
        values, first, second = ComputedValues(SetClock(NOW)), Slow(), Slow()
        values.newest("a", 1, first)
        values.newest("b", 1, second)
        await wait_until_async(lambda: first.calls)
        closing = asyncio.ensure_future(values.close())
        await asyncio.sleep(0)  # closing has begun
        first.may_end.set()
        await closing
        assert (first.calls, second.calls) == (1, 0)

    asyncio.run(closes())
