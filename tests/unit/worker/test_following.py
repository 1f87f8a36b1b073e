"""What a worker follows is loaded in a thread, applied by the one that decides, and tried again where it fails."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.waiting import wait_until

from penstock.engine.following import Follower
from penstock.errors import DeclarationError, LedgerError
from penstock.worker.following import FollowerThread


class Engine:
    """Stands for one that decides; numbers are its configuration."""

    decides_with: int | None = None


class Numbers(Follower[int]):
    """Follows the newest number; some cannot be loaded, others do not fit."""

    every_s = 0.005
    goes_on = "the number stays"

    def __init__(self) -> None:
        super().__init__("shop")
        self.newest: int | Exception = 0
        self.unfit: set[int] = set()
        self.threads: dict[str, str] = {}

    def load(self, engine: Any, _stopped: Callable[[], bool], /) -> int | None:
        self.threads["load"] = threading.current_thread().name
        if isinstance(self.newest, Exception):
            raise self.newest
        return None if self._revision(engine, 0) == self.newest else self.newest

    def apply(self, engine: Any, change: int) -> None:
        self.threads["apply"] = threading.current_thread().name
        if change in self.unfit:
            raise DeclarationError(f"{change} does not fit")
        engine.decides_with = change

    def settle(self, engine: Any, change: int, /) -> None:
        self._keep(engine, change)


@pytest.fixture
def world():
    """A follower in its thread, the engine that it follows for, and the work of the deciding thread."""
    follower, engines, stop = Numbers(), [Engine()], threading.Event()
    thread = FollowerThread(follower, lambda: engines[-1] if engines else None)
    running = threading.Thread(target=thread.run, args=(stop,), name="loading")
    running.start()

    def until(condition):
        def decided():
            thread.apply(engines[-1])
            return condition()

        wait_until(decided)

    yield follower, engines, thread, until
    stop.set()
    running.join(60)
    assert not running.is_alive()


def test_a_change_is_loaded_in_its_thread_and_applied_by_the_one_that_decides(world):
    follower, engines, _, until = world
    follower.newest = 7
    until(lambda: engines[0].decides_with == 7)
    assert follower.threads == {"load": "loading", "apply": threading.current_thread().name}
    wait_until(lambda: follower.revision == 7)


def test_a_change_for_an_engine_that_is_gone_is_loaded_again_for_the_next(world):
    follower, engines, thread, until = world
    follower.newest = 7
    until(lambda: engines[0].decides_with == 7)
    wait_until(lambda: follower.revision == 7)
    engines.append(Engine())
    thread.apply(engines[0])
    until(lambda: engines[1].decides_with == 7)


def test_what_does_not_fit_changes_nothing_is_said_once_and_tried_again(world, caplog):
    follower, engines, _, until = world
    follower.unfit, follower.newest = {7}, 7
    until(lambda: follower.trouble == "7 does not fit")
    assert engines[0].decides_with is None
    follower.unfit = set()
    until(lambda: engines[0].decides_with == 7)
    wait_until(lambda: follower.trouble is None)
    assert [record.message for record in caplog.records] == ["shop: the number stays: 7 does not fit"]


def test_what_cannot_be_loaded_is_polled_again(world):
    follower, engines, _, until = world
    follower.newest = LedgerError("nobody answers")
    wait_until(lambda: follower.trouble == "nobody answers")
    follower.newest = 3
    until(lambda: engines[0].decides_with == 3)


def test_before_the_first_decision_what_is_in_force_is_applied_at_once():
    follower, engine = Numbers(), Engine()
    thread = FollowerThread(follower, lambda: engine)
    follower.newest = 5
    thread.first(engine)
    assert (engine.decides_with, follower.revision) == (5, 5)
    follower.newest, follower.unfit = 6, {6}
    thread.first(engine)
    assert (engine.decides_with, follower.trouble) == (5, "6 does not fit")
    follower.newest = LedgerError("nobody answers")
    with pytest.raises(LedgerError):
        thread.first(engine)


def test_polls_are_rarer_while_they_fail_and_as_often_as_before_when_they_do_not():
    follower = Numbers()
    follower.every_s, follower.rarely_s = 2.0, 10.0
    pauses = [2.0]
    for _ in range(4):
        pauses.append(follower.pause_s(pauses[-1], failed=True))
    assert pauses == [2.0, 4.0, 8.0, 10.0, 10.0]
    assert follower.pause_s(10.0, failed=False) == 2.0
