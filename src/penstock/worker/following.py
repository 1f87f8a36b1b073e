"""Followers in a worker: each loads in a separate thread, and the thread that decides applies between two units."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

from penstock.engine import Engine
from penstock.engine.following import Follower
from penstock.errors import DeclarationError


class _Due(NamedTuple):
    engine: Engine
    change: Any
    done: "Future[None]"


class FollowerThread:
    """Drives a follower for one shard.

    Args:
        engine: returns the shard's engine; None before it is open.
    """

    def __init__(self, follower: Follower[Any], engine: Callable[[], Engine | None]) -> None:
        self.follower, self._engine = follower, engine
        self._due: _Due | None = None

    def first(self, engine: Engine) -> None:
        """Apply what is in force to an engine that does not decide yet.

        Raises:
            PenstockError: it cannot be loaded.
        """
        change = self.follower.load(engine, lambda: False)
        if change is None:
            return
        try:
            self.follower.apply(engine, change)
        except DeclarationError as error:  # tried again: a feature that it reads may be activated
            self.follower.fail(change, error)
        else:
            self.follower.settle(engine, change)

    def apply(self, engine: Engine) -> None:
        """Apply what was loaded for an engine; called by the thread that decides, between two units."""
        due, self._due = self._due, None
        if due is None or due.engine is not engine:
            return
        try:
            self.follower.apply(engine, due.change)
        except Exception as error:  # noqa: BLE001 - whatever does not fit, what decides goes on deciding
            due.done.set_exception(error)
        else:
            due.done.set_result(None)

    def run(self, stop: threading.Event) -> None:
        """Follow until asked to stop; poll less often after failures."""
        pause_s = self.follower.every_s
        while not stop.wait(pause_s):
            engine = self._engine()
            if engine is not None:
                pause_s = self.follower.pause_s(pause_s, failed=not self._look(engine, stop))

    def _look(self, engine: Engine, stop: threading.Event) -> bool:
        def stopped() -> bool:
            return stop.is_set() or self._engine() is not engine

        change = None
        try:
            change = self.follower.load(engine, stopped)
            if change is not None:
                self._due = due = _Due(engine, change, Future())
                while not due.done.done():
                    if stopped():
                        return True
                    stop.wait(0.02)
                due.done.result()
                self.follower.settle(engine, change)
            self.follower.trouble = None
        except Exception as error:  # noqa: BLE001 - whatever fails, what decides goes on deciding
            if not stopped():
                self.follower.fail(change, error)
            return False
        return True
