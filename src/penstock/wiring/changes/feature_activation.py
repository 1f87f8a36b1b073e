"""The feature store of a detector, and the activation of its features in an engine: backfilled, then swapped in."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from penstock.config import Settings
from penstock.database import Database
from penstock.detector import Detector
from penstock.detector.compiler import words_of
from penstock.engine import Coverage, Engine, FeatureBackfill
from penstock.engine.pipeline import check_fits
from penstock.errors import BundleError, CapacityError, ConfigurationError, DeclarationError, PenstockError
from penstock.features import Derived
from penstock.features.definitions import Added, read_described
from penstock.governance.feature_versions import Version, Wanted
from penstock.governance.features import FeatureStore
from penstock.governance.model_trials import ModelTrials
from penstock.models import Ensemble, load_bundle
from penstock.models.bundle_store import Alias, alias
from penstock.rules import Rule
from penstock.wiring.changes.active_features import added_of, not_active
from penstock.wiring.changes.rule_stores import list_store, rule_store, rules_of
from penstock.wiring.database import office_of

AGAIN_S = 3.0
"""Seconds before a failed backfill is retried, unless the failure is final."""

FINAL = (DeclarationError, BundleError, CapacityError, ConfigurationError)
"""Errors that a retry does not resolve."""

ALIASES: tuple[Alias, ...] = ("champion", "challenger")
"""Aliases of versions that must go on fitting, besides those in trial."""

SERVICE = "service"
"""The author of backfill reports."""


class Checks:
    """Checks of feature changes against the detector's file, its running rules, and its models.

    Args:
        models: the folder of bundles; the champion and the models in trial must go on fitting.
    """

    def __init__(self, database: Database, detector: Detector, models: Path) -> None:
        self._database, self._detector, self._folder = database, detector, models
        self._rules, self._lists = rule_store(database, detector), list_store(database, detector)
        self._trials = ModelTrials(database, detector.name)

    def fit(self, versions: Sequence[Version]) -> None:
        """See `penstock.governance.features.Checks`."""
        try:
            changed = self._detector.with_rules([]).with_features(added_of(versions))
        except DeclarationError:
            told = not_active(self._database, self._detector, set().union(*map(_words, versions)) - {v.name for v in versions})
            if told is None:
                raise
            raise DeclarationError(told) from None
        changed.with_rules(self._acting(), {**self._detector.lists, **self._lists.members()})
        for ensemble in self._models():
            check_fits(changed, ensemble)

    def readers(self, name: str, others: Sequence[Version]) -> Sequence[str]:
        """See `penstock.governance.features.Checks`."""
        features = [f"feature {each.name!r}" for each in others if name in _words(each)]
        rules = [f"rule {rule.name!r}" for rule in self._acting() if _asks(rule, name)]
        models = [f"model {each.version or 'unsaved'}" for each in self._models() if name in each.features]
        return [*rules, *features, *models]

    def _acting(self) -> list[Rule]:
        return rules_of(self._rules.acting()) if self._rules.versions() else list(self._detector.rules)

    def _models(self) -> list[Ensemble]:
        versions = {alias(self._folder, self._detector.name, name) for name in ALIASES}
        versions |= {trial.version for trial in self._trials.running()}
        return [load_bundle(self._folder / self._detector.name / version) for version in sorted(filter(None, versions))]


def feature_store(database: Database, detector: Detector, settings: Settings) -> FeatureStore:
    """The feature store of a detector, with checks: an invalid change is refused with the reason, and rolled back."""
    checks = Checks(database, detector, settings.models_folder)
    return FeatureStore(database, detector.name, checks, four_eyes=settings.four_eyes)


@contextmanager
def open_features(detector: Detector, settings: Settings) -> Iterator[FeatureStore]:
    """The feature store in the office of the settings."""
    with office_of(settings) as database:
        yield feature_store(database, detector, settings)


class ActivatedFeatures(NamedTuple):
    """Features that were backfilled for an engine, to be activated; filling: None if it has them already."""

    wanted: Wanted
    filling: FeatureBackfill | None


class FeatureActivation:
    """The source of run-time features for an engine. decides: whether this process decides, so that its reports count.
    fits: raises if this process cannot compute the features. shard, shards: the engine's shard, and their number.

    Call `prepare`, then `Engine.activate_features` in the engine's own thread, then `settle`.
    """

    def __init__(
        self,
        book: FeatureStore,
        detector: Detector,
        *,
        decides: bool = True,
        fits: Callable[[Detector], None] = lambda _detector: None,
        shard: int = 0,
        shards: int = 1,
    ) -> None:
        self.book, self.decides, self._detector, self._fits = book, decides, detector, fits
        self._place = {"shard": shard, "shards": shards}
        self._revision = -1
        self._reaches: dict[str, Coverage] = {}
        self._again_at = 0.0
        self.trouble: str | None = None

    def test(self, name: str, body: dict[str, Any]) -> tuple[str, str, list[str]]:
        """Check a feature without saving it: its name, its type and what it reads.

        Raises:
            DeclarationError, BundleError: it does not fit the other features.
        """
        others = [each for each in added_of(self.book.wanted().versions) if each.name != name]
        detector = self._detector.with_rules([]).with_features([*others, Added(name, read_described(body, name))])
        feature = next(each for each in detector.features if each.name == name)
        return name, detector.plan.layout[name].type.value, sorted(detector.reads_of(feature))

    def prepare(self, engine: Engine, stopped: Callable[[], bool] = lambda: False) -> ActivatedFeatures | None:
        """The wanted features, backfilled from the log but for a few records; None if nothing has changed. May take a
        while.

        A feature whose backfill fails becomes a draft again, with the reason.
        """
        if time.monotonic() < self._again_at or self.book.revision() == self._revision:
            return None
        wanted = self.book.wanted()
        added = added_of(wanted.versions)
        if tuple(added) == engine.detector.added:
            return ActivatedFeatures(wanted, None)
        self._again_at = time.monotonic() + AGAIN_S
        try:
            filling = engine.active.backfill(added)
            self._fits(filling.pipeline.detector)
            filling.run(stopped)
        except PenstockError as error:
            self.fail(wanted, error)
            return None
        return None if stopped() else ActivatedFeatures(wanted, filling)

    def again(self) -> None:
        """Prepare again, even if nothing has changed."""
        self._revision = -1

    def settle(self, grown: ActivatedFeatures) -> None:
        """Report that features were activated: backfilled versions become active."""
        self._revision, self._again_at, self.trouble = grown.wanted.revision, 0.0, None
        if grown.filling is not None:
            self._reaches = {reach.name: reach for reach in grown.filling.reaches}
        for version in _filling(grown.wanted) if self.decides else ():
            reach = self._reaches.get(version.name, Coverage(version.name, None, None))
            self.book.filled(version.name, version.version, _told(reach), who=SERVICE, **self._place)

    def fail(self, wanted: Wanted, error: PenstockError) -> None:
        """Report that the backfill or its activation failed."""
        self.trouble, self._again_at = str(error), time.monotonic() + AGAIN_S
        if not self.decides or not isinstance(error, FINAL):
            return
        for version in _filling(wanted):
            self.book.failed(version.name, version.version, str(error), who=SERVICE)


def _filling(wanted: Wanted) -> list[Version]:
    return [version for version in wanted.versions if version.state == "filling"]


def _told(reach: Coverage) -> dict[str, Any]:
    return {**reach._asdict(), "sentence": reach.sentence}


def _words(version: Version) -> set[str]:
    told = read_described(version.body, version.name)
    return words_of(Derived("", f"{told.derive or ''} {told.where or ''} {told.field or ''}"))


def _asks(rule: Rule, name: str) -> bool:
    share = rule.share is not None and rule.share.of == name
    return share or name in words_of(Derived("", rule.when)) or f"{{{name}" in (rule.reason or "")


def feature_activation(
    database: Database, detectors: Sequence[Detector], settings: Settings, *, decides: bool = True
) -> dict[str, FeatureActivation]:
    """For each detector, the source of run-time features for its engine."""
    return {each.name: FeatureActivation(feature_store(database, each, settings), each, decides=decides) for each in detectors}
