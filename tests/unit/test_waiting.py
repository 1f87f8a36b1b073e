"""The helper of the tests that waits for a condition."""

import asyncio
from functools import partial

import pytest
from tests.waiting import wait_until, wait_until_async


def test_the_value_of_the_condition_is_returned_as_soon_as_it_holds():
    values = iter([None, [], 7])
    assert wait_until(lambda: next(values), every_s=0.001) == 7


def test_a_condition_that_holds_is_asked_once_also_where_no_time_is_left():
    asked = []
    assert wait_until(lambda: asked.append(1) or "at once", within_s=0) == "at once"
    assert asked == [1]


def test_the_failure_shows_the_condition_and_its_last_value():
    many = ["one", "two"]
    with pytest.raises(AssertionError, match=r"not within 0\.01 s, the last value was False: .*lambda: len\(many\) > 2"):
        wait_until(lambda: len(many) > 2, within_s=0.01, every_s=0.001)


def test_the_failure_shows_a_condition_without_a_source():
    with pytest.raises(AssertionError, match=r"the last value was \{\}: functools\.partial\(<class 'dict'>\)"):
        wait_until(partial(dict), within_s=0)


def test_an_error_of_the_condition_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 / 0)


@pytest.mark.parametrize("awaited", [False, True])
def test_in_an_event_loop_others_go_on_meanwhile(awaited):
    done = []

    async def ask():
        return tuple(done)

    async def scene():
        task = asyncio.create_task(asyncio.sleep(0.001))
        task.add_done_callback(done.append)
        return await wait_until_async(ask if awaited else lambda: tuple(done), every_s=0.001), task

    found, task = asyncio.run(scene())
    assert found == (task,)


def test_in_an_event_loop_the_failure_shows_the_condition():
    with pytest.raises(AssertionError, match=r"not within 0\.01 s, the last value was 0: .*wait_until_async\(lambda: 0"):
        asyncio.run(wait_until_async(lambda: 0, within_s=0.01, every_s=0.001))
