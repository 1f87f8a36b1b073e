"""Backfill of run-time features in a worker: computed in a separate thread, activated by the thread that decides."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

from penstock.engine import Engine, FeatureBackfill
from penstock.errors import PenstockError
from penstock.stream.parts import FeatureActivation
from penstock.stream.replica import Replica

_EVERY_S = 0.3

_log = logging.getLogger(__name__)


class _Due(NamedTuple):
    engine: Engine
    filling: FeatureBackfill
    done: "Future[None]"


class FeatureBackfillThread:
    """Polls several times a second which features are wanted, and backfills them.

    Args:
        growing: the source of features.
        replica: returns the current replica, or None.
        owns: returns whether this process decides.
    """

    def __init__(self, growing: FeatureActivation, replica: Callable[[], Replica | None], owns: Callable[[], bool]) -> None:
        self._growing, self._replica, self._owns = growing, replica, owns
        self._due: _Due | None = None
        self._trouble: str | None = None

    def swap(self, engine: Engine) -> None:
        """Activate the backfilled features in an engine; called in its own thread, between two units."""
        due, self._due = self._due, None
        if due is None or due.engine is not engine:
            return
        try:
            engine.activate_features(due.filling)
        except PenstockError as error:
            due.done.set_exception(error)
            return
        due.done.set_result(None)

    def run(self, stop: threading.Event) -> None:
        """Poll until asked to stop."""
        while not stop.wait(_EVERY_S):
            replica = self._replica()
            if replica is None:
                continue
            try:
                self._look(replica, stop)
                self._trouble = None
            except Exception as error:  # noqa: BLE001  whatever fails, what decides goes on deciding
                if str(error) != self._trouble and self._replica() is replica:
                    _log.warning("features go on as they were: %s", error)
                self._trouble = str(error)

    def _look(self, replica: Replica, stop: threading.Event) -> None:
        def gone() -> bool:
            return stop.is_set() or self._replica() is not replica

        growing, engine = self._growing, replica.engine
        growing.decides = self._owns()
        grown = growing.prepare(engine, gone)
        if grown is None:
            return
        if grown.filling is not None:
            due = _Due(engine, grown.filling, Future())
            self._due = due
            while not due.done.done():
                if gone():
                    return
                stop.wait(0.05)
            error = due.done.exception()
            if isinstance(error, PenstockError):
                growing.fail(grown.wanted, error)
                raise error
            names = ", ".join(each.name for each in engine.detector.added) or "those of its file alone"
            _log.info("%s: features made at run time from now on: %s", engine.detector.name, names)
        growing.decides = self._owns()
        growing.settle(grown)
