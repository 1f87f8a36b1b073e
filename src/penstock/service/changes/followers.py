"""Followers of newer models, rules and run-time features, which apply them between two batches."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from penstock.errors import PenstockError
from penstock.models import Ensemble
from penstock.rules import NewerRules
from penstock.service.decide.port import Serving
from penstock.wiring.changes.feature_activation import ActivatedFeatures, FeatureActivation

log = logging.getLogger("penstock.service")

Newer = Callable[[str | None], Ensemble | None]
"""Called in a thread with the deciding version: the champion if it is another one, loaded, warm and validated; else None.
Raises a PenstockError if it cannot be loaded; it is called again later.
"""


RULES_EVERY_S = 0.3
"""Seconds between two polls for newer rules: a change is in force within a second."""

RARELY_S = 60.0
"""The longest pause between polls while the champion cannot be loaded."""


class Follower:
    """Polls the registry every few seconds for the champion, and applies it.

    Models are loaded in a thread; the change happens on the event loop between two batches, so every request is answered
    by one version as a whole. Models that cannot be loaded change nothing but the reason why a detector without models
    is not ready.
    """

    def __init__(self, desk: Serving, newer: Newer, every_s: float) -> None:
        self._desk, self._newer, self._every_s = desk, newer, every_s

    async def run(self) -> None:
        """Follow until the task is cancelled; poll less often after failures."""
        pause_s = self._every_s
        while True:
            pause_s = self._every_s if await self.look() else min(2 * pause_s, max(RARELY_S, self._every_s))
            await asyncio.sleep(pause_s)

    async def look(self) -> bool:
        """Poll once; whether the registry answered."""
        before = self._desk.engine.model_version
        try:
            found = await asyncio.to_thread(self._newer, before)
            if found is not None:
                self._desk.use(found)
                instead = f", not {before}" if before else ""
                log.info("%s: model version %s decides from now on%s", self._desk.name, found.version, instead)
        except Exception as error:  # noqa: BLE001 - whatever a registry does, what decides goes on deciding
            trouble = str(error) if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}"
            if trouble != self._desk.models_trouble:
                log.warning("%s: %s goes on deciding: %s", self._desk.name, before or "nothing", trouble)
            self._desk.models_trouble = trouble
            return False
        self._desk.models_trouble = None
        return True


class RulesFollower:
    """Polls several times a second for newer rules, and applies them all at once, between two batches.

    revision: of the rules that decide now. trouble: why newer ones cannot be loaded or applied.
    """

    def __init__(self, desk: Serving, newer: NewerRules) -> None:
        self._desk, self._newer = desk, newer
        self.revision = 0
        self.trouble: str | None = None
        self._looking = asyncio.Lock()

    async def run(self) -> None:
        """Follow until the task is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(RULES_EVERY_S)

    async def look(self) -> None:
        """Poll once; rules that cannot be loaded change nothing."""
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        try:
            found = await asyncio.to_thread(self._newer, self.revision)
            if found is not None:
                before = self.revision
                self._desk.engine.use_rules(found.rules, found.lists)  # retried until they fit
                self.revision = found.revision
                if before:
                    log.info(
                        "%s: %d rules of revision %d decide from now on", self._desk.name, len(found.rules), found.revision
                    )
            self.trouble = None
        except Exception as error:  # noqa: BLE001 - whatever the book does, the rules in force stay in force
            trouble = str(error) if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}"
            if trouble != self.trouble:
                log.warning("%s: the rules in force stay in force: %s", self._desk.name, trouble)
            self.trouble = trouble


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
