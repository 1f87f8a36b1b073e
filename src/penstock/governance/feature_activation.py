"""The feature store of a detector, and the activation of its features in an engine: backfilled, then swapped in."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from penstock.config import Settings
from penstock.database import Database
from penstock.detector import Detector
from penstock.detector.compiler import words_of
from penstock.engine import Coverage, Engine, FeatureBackfill
from penstock.engine.following import Follower
from penstock.engine.pipeline import check_fits
from penstock.errors import BundleError, CapacityError, ConfigurationError, DeclarationError, PenstockError
from penstock.features import Derived
from penstock.features.definitions import Added, read_described
from penstock.governance.features import FeatureStore, StoredFeature, Wanted
from penstock.governance.model_trials import ModelTrials
from penstock.governance.stored_detector import added_of, list_store, not_active, rule_store
from penstock.models import Ensemble, load_bundle
from penstock.models.bundle_store import Alias, alias
from penstock.rules import Rule

AGAIN_S = 3.0
"""Seconds before a failed backfill is retried, unless the failure is final."""

FINAL = (DeclarationError, BundleError, CapacityError, ConfigurationError)
"""Errors that a retry does not resolve."""

ALIASES: tuple[Alias, ...] = ("champion", "challenger")
"""Aliases of versions that must go on fitting, besides those in trial."""

SERVICE = "service"
"""The author of backfill reports."""

_log = logging.getLogger("penstock.engine")


class ActivationChecks:
    """Checks of feature changes against the detector's file, its running rules, and its models.

    Args:
        models: the folder of bundles; the champion and the models in trial must go on fitting.
    """

    def __init__(self, database: Database, detector: Detector, models: Path) -> None:
        self._database, self._detector, self._folder = database, detector, models
        self._rules, self._lists = rule_store(database, detector), list_store(database, detector)
        self._trials = ModelTrials(database, detector.name)

    def fit(self, versions: Sequence[StoredFeature]) -> None:
        """See `penstock.governance.features.ActivationChecks`."""
        try:
            changed = self._detector.with_rules([]).with_features(added_of(versions))
        except DeclarationError:
            problem = not_active(
                self._database, self._detector, set().union(*map(_words, versions)) - {v.name for v in versions}
            )
            if problem is None:
                raise
            raise DeclarationError(problem) from None
        changed.with_rules(self._running(), {**self._detector.lists, **self._lists.members()})
        for ensemble in self._models():
            check_fits(changed, ensemble)

    def readers(self, name: str, others: Sequence[StoredFeature]) -> Sequence[str]:
        """See `penstock.governance.features.ActivationChecks`."""
        features = [f"feature {each.name!r}" for each in others if name in _words(each)]
        rules = [f"rule {rule.name!r}" for rule in self._running() if _asks(rule, name)]
        models = [f"model {each.version or 'unsaved'}" for each in self._models() if name in each.features]
        return [*rules, *features, *models]

    def _running(self) -> list[Rule]:
        return self._rules.running() if self._rules.versions() else list(self._detector.rules)

    def _models(self) -> list[Ensemble]:
        versions = {alias(self._folder, self._detector.name, name) for name in ALIASES}
        versions |= {trial.version for trial in self._trials.running()}
        return [load_bundle(self._folder / self._detector.name / version) for version in sorted(filter(None, versions))]


def feature_store(database: Database, detector: Detector, settings: Settings) -> FeatureStore:
    """The feature store of a detector, with checks: an invalid change is refused with the reason, and rolled back."""
    checks = ActivationChecks(database, detector, settings.models_folder)
    return FeatureStore(database, detector.name, checks, four_eyes=settings.four_eyes)


class ActivatedFeatures(NamedTuple):
    """Features that were backfilled for an engine, to be activated; filling: None if it has them already."""

    wanted: Wanted
    filling: FeatureBackfill | None


class FeatureActivation(Follower[ActivatedFeatures]):
    """The source of run-time features for an engine: backfilled from its log, then swapped in.

    Args:
        decides: whether this process decides, so that its reports count.
        fits: raises if this process cannot compute the features.
        shard, shards: the engine's shard, and their number.
    """

    goes_on = "features go on as they were"

    def __init__(
        self,
        store: FeatureStore,
        detector: Detector,
        *,
        decides: Callable[[], bool] = lambda: True,
        fits: Callable[[Detector], None] = lambda _detector: None,
        shard: int = 0,
        shards: int = 1,
    ) -> None:
        super().__init__(detector.name)
        self.store, self._decides, self._detector, self._fits = store, decides, detector, fits
        self._place = {"shard": shard, "shards": shards}
        self._settled: tuple[int, bool] | None = None
        self._reaches: dict[str, Coverage] = {}
        self._failed: PenstockError | None = None
        self._again_at = 0.0

    def test(self, name: str, body: dict[str, Any]) -> tuple[str, str, list[str]]:
        """Check a feature without saving it: its name, its type and what it reads.

        Raises:
            DeclarationError, BundleError: it does not fit the other features.
        """
        others = [each for each in added_of(self.store.wanted().versions) if each.name != name]
        detector = self._detector.with_rules([]).with_features([*others, Added(name, read_described(body, name))])
        feature = next(each for each in detector.features if each.name == name)
        return name, detector.plan.layout[name].type.value, sorted(detector.reads_of(feature))

    def load(self, engine: Engine, stopped: Callable[[], bool], /) -> ActivatedFeatures | None:
        """The wanted features, backfilled from the log but for a few records; None if nothing has changed. May take a
        while.

        Raises:
            PenstockError: they cannot be backfilled. Those that never can become drafts again, with the reason.
        """
        if self._failed is not None and time.monotonic() < self._again_at:
            raise self._failed
        if (self.store.revision(), self._decides()) == self._settled:
            return None
        wanted = self.store.wanted()
        added = added_of(wanted.versions)
        if tuple(added) == engine.detector.added:
            return ActivatedFeatures(wanted, None)
        try:
            filling = engine.active.backfill(added)
            self._fits(filling.pipeline.detector)
            filling.run(stopped)
        except PenstockError as error:
            self._reject(wanted, error)
            raise
        return None if stopped() else ActivatedFeatures(wanted, filling)

    def apply(self, engine: Engine, change: ActivatedFeatures) -> None:
        """See `Follower.apply`."""
        if change.filling is not None:
            engine.activate_features(change.filling)  # in the engine's own thread: one position of the log

    def settle(self, engine: Engine, change: ActivatedFeatures, /) -> None:
        """Report that features were activated: backfilled versions become active."""
        decides = self._decides()
        self._settled, self._failed = (change.wanted.revision, decides), None
        if change.filling is not None:
            self._reaches = {reach.name: reach for reach in change.filling.reaches}
            names = ", ".join(each.name for each in engine.detector.added) or "those of its file alone"
            _log.info("%s: features made at run time from now on: %s", self.detector, names)
        for version in _filling(change.wanted) if decides else ():
            reach = self._reaches.get(version.name, Coverage(version.name, None, None))
            self.store.filled(version.name, version.version, _details(reach), who=SERVICE, **self._place)

    def fail(self, change: ActivatedFeatures | None, error: Exception, /) -> None:
        """See `Follower.fail`; features that do not fit become drafts again, with the reason."""
        super().fail(change, error)
        if change is not None and isinstance(error, PenstockError):
            with suppress(PenstockError):
                self._reject(change.wanted, error)

    def _reject(self, wanted: Wanted, error: PenstockError) -> None:
        self._failed, self._again_at = error, time.monotonic() + AGAIN_S
        for version in _filling(wanted) if self._decides() and isinstance(error, FINAL) else ():
            self.store.failed(version.name, version.version, str(error), who=SERVICE)


def _filling(wanted: Wanted) -> list[StoredFeature]:
    return [version for version in wanted.versions if version.state == "filling"]


def _details(reach: Coverage) -> dict[str, Any]:
    return {**reach._asdict(), "sentence": reach.sentence}


def _words(version: StoredFeature) -> set[str]:
    problem = read_described(version.body, version.name)
    return words_of(Derived("", f"{problem.derive or ''} {problem.where or ''} {problem.field or ''}"))


def _asks(rule: Rule, name: str) -> bool:
    share = rule.share is not None and rule.share.of == name
    return share or name in words_of(Derived("", rule.when)) or f"{{{name}" in (rule.reason or "")


def feature_activation(
    database: Database, detectors: Sequence[Detector], settings: Settings, *, decides: bool = True
) -> dict[str, FeatureActivation]:
    """For each detector, the source of run-time features for its engine."""
    return {
        each.name: FeatureActivation(feature_store(database, each, settings), each, decides=lambda: decides)
        for each in detectors
    }
