"""Follower of run-time features: backfills them in a thread and activates them between two batches."""

import asyncio
import logging
import threading
from contextlib import suppress

from penstock.errors import PenstockError
from penstock.service.decide.port import Serving
from penstock.wiring.changes.feature_activation import ActivatedFeatures, FeatureActivation

log = logging.getLogger("penstock.service")

EVERY_S = 0.3
"""Seconds between two polls."""


class FeaturesFollower:
    """Polls several times a second which features are wanted, backfills them, and activates them in the engine.

    growing: the feature service, and what fills.
    """

    def __init__(self, desk: Serving, growing: FeatureActivation) -> None:
        self._desk, self.growing = desk, growing
        self._stopped = threading.Event()
        self._work: asyncio.Future[ActivatedFeatures | None] | None = None
        self._trouble: str | None = None

    async def run(self) -> None:
        """Follow until the task is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Poll once; a backfill that fails changes nothing."""
        engine = self._desk.engine
        grown: ActivatedFeatures | None = None
        try:
            self._work = asyncio.get_running_loop().run_in_executor(None, self.growing.prepare, engine, self._stopped.is_set)
            grown = await asyncio.shield(self._work)
            if grown is not None and grown.filling is not None and not self._stopped.is_set():
                engine.activate_features(grown.filling)  # on the event loop, where the engine decides: one position of the log
                names = ", ".join(each.name for each in engine.detector.added) or "those of its file alone"
                log.info("%s: features made at run time from now on: %s", self._desk.name, names)
            if grown is not None:
                await asyncio.to_thread(self.growing.settle, grown)
            self._complain(self.growing.trouble)
        except Exception as error:  # noqa: BLE001 - whatever fails, what is computed goes on being computed
            self._complain(str(error) if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}")
            await self._failed(grown, error)

    async def _failed(self, grown: ActivatedFeatures | None, error: Exception) -> None:
        """Store why a backfill was rejected, if the database answers."""
        if grown is not None and isinstance(error, PenstockError):
            with suppress(PenstockError):
                await asyncio.to_thread(self.growing.fail, grown.wanted, error)

    def _complain(self, trouble: str | None) -> None:
        if trouble is not None and trouble != self._trouble:
            log.warning("%s: features go on as they were: %s", self._desk.name, trouble)
        self._trouble = trouble

    async def close(self) -> None:
        """Release the log, before the engine is closed."""
        self._stopped.set()
        if self._work is not None:
            with suppress(Exception, asyncio.CancelledError):
                await self._work
