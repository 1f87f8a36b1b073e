"""Rule and list administration for routes: reads and changes them per detector, and applies changes at once."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple, TypeVar

from penstock.clock import Clock, system_clock
from penstock.config import Settings
from penstock.engine import Engine
from penstock.errors import BundleError, DataError, DeclarationError, did_you_mean
from penstock.governance.administration import RuleAdministration
from penstock.governance.approvals import ApprovalService, Approve
from penstock.governance.challengers import Challengers
from penstock.governance.feature_activation import FeatureActivation
from penstock.ledger.archive import Archive
from penstock.offline.backtest.fires import Fires, fires
from penstock.service.changes.followers import FollowerTask
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.computed import Computed, ComputedValues
from penstock.service.http.problems import RequestRefused

T = TypeVar("T")

FIRES_DAYS = 1.0
FIRES_WITHIN_S = 60.0
"""How many days back firings of rules are counted for the list of rules, in the background, and the time limit in seconds."""


class CurrentRevision(NamedTuple):
    """The versions of rules and lists that decisions name now; None until the engine is open."""

    rules: str | None
    lists: str | None


class Administration:
    """Rule and list services by detector, with the engines that apply them and their recorded decisions.

    testing: held while a condition is checked: pages send one at every pause in typing, and each compiles all rules.
    """

    def __init__(
        self,
        admin: Mapping[str, RuleAdministration],
        router: DetectorRouter,
        followers: Mapping[str, FollowerTask],
        features: Mapping[str, FeatureActivation],
        challengers: Mapping[str, Challengers],
        settings: Settings,
        clock: Clock = system_clock,
    ) -> None:
        self._admins, self._router, self._followers, self._settings = admin, router, followers, settings
        self._features, self._challengers = features, challengers
        self.testing = asyncio.Lock()
        self._archives: dict[str, Archive] = {}
        self._fires = ComputedValues[Mapping[str, Fires]](clock)

    def of(self, name: str) -> RuleAdministration:
        """The rule and list services of a detector.

        Raises:
            RequestRefused: 404, with the known names.
        """
        if name not in self._admins:
            raise RequestRefused(404, f"no detector {name!r} is served here.{did_you_mean(name, self._admins)}")
        return self._admins[name]

    def approving(self, name: str) -> ApprovalService:
        """Approves and rejects the requests of a detector, those about models and features included.

        Raises:
            RequestRefused: 404, with the known names.
        """
        others: dict[str, Approve] = {}
        if name in self._features:
            others["feature"] = self._features[name].store.approve
        if name in self._challengers:
            others["model"] = self._challengers[name].approve
        return self.of(name).approving(**others)

    def features(self, name: str) -> FeatureActivation:
        """The feature service of a detector.

        Raises:
            RequestRefused: 404, with the known names.
        """
        if name not in self._features:
            raise RequestRefused(404, f"no detector {name!r} is served here.{did_you_mean(name, self._features)}")
        return self._features[name]

    def computed_features(self, name: str) -> list[str] | None:
        """The run-time features that the engine computes now; None until it is open."""
        served = self._router.named(name)
        return None if served.not_ready is not None else [each.name for each in served.engine.detector.added]

    def engine(self, name: str) -> Engine:
        """The engine or replica of a detector.

        Raises:
            RequestRefused: 404, there is no such detector.
            NotReady: it is being opened.
        """
        return self._router.named(name).engine

    async def look(self, work: Callable[[], T]) -> T:
        """Run a database query in a thread.

        Raises:
            RequestRefused: 422, the request is invalid.
        """
        try:
            return await asyncio.to_thread(work)
        except (DeclarationError, DataError, BundleError) as error:
            raise RequestRefused(422, str(error), [(None, str(error))]) from None

    async def change(self, name: str, work: Callable[[], T]) -> T:
        """Apply a change; it is in force in this process when this returns, in others within a second."""
        done = await self.look(work)
        follower = self._followers.get(name)
        if follower is not None:
            await follower.look()
        return done

    def in_force(self, name: str) -> CurrentRevision:
        """The versions that decisions of a detector name now."""
        served = self._router.get(name)
        if served is None or served.not_ready is not None:
            return CurrentRevision(None, None)
        versions = served.engine.active.format.versions
        return CurrentRevision(versions.rules, versions.lists if isinstance(versions.lists, str) else None)

    async def fires(self, name: str) -> Computed[Mapping[str, Fires]] | None:
        """How often rules fired lately, as counted last; None if unknown. Waits for the first count alone."""
        served = self._router.get(name)
        if served is None or served.not_ready is not None:
            return None
        if name not in self._archives:
            self._archives[name] = Archive(served.engine.ledger, self._settings.data / "archive")
        count = partial(fires, _Limited(self._archives[name]), name, FIRES_DAYS, now_us=served.engine.clock())
        return await self._fires.first_or_newest(name, served.engine.ledger.durable_position, count)

    async def close(self) -> None:
        """Wait for a running count, and release the read connections."""
        await self._fires.close()
        for archive in self._archives.values():
            await asyncio.to_thread(archive.close)


class _Limited:
    def __init__(self, archive: Archive) -> None:
        self.query = lambda sql: archive.query(sql, limit_s=FIRES_WITHIN_S)
