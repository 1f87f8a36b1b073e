"""Rules, lists, features and models of a detector that people change, in the office of the settings."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from penstock.config import Settings
from penstock.database import Database
from penstock.detector import Detector
from penstock.engine.startup import PERSONAL_KEY, personal_key_of
from penstock.expressions import Members
from penstock.governance.administration import RuleAdministration
from penstock.governance.approvals import ApprovalService, Approve
from penstock.governance.challengers import Challengers
from penstock.governance.feature_activation import feature_store
from penstock.governance.features import SCHEMA, FeatureStore
from penstock.governance.snoozes import with_snoozes
from penstock.governance.stored_detector import list_store, rule_store, with_active_features
from penstock.governance.trials import TrialWork
from penstock.ingest.personal import tokeniser
from penstock.private_files import personal_key
from penstock.wiring.database import has_office, office_of
from penstock.wiring.registries import open_registry


def rule_administration(database: Database, detector: Detector, settings: Settings) -> RuleAdministration:
    """The rule and list administration of a detector, from the settings."""
    return RuleAdministration(database, detector, four_eyes=settings.four_eyes, token=token_of(detector, settings))


def token_of(detector: Detector, settings: Settings) -> Callable[[str], str] | None:
    """The function that tokenizes personal values like the detector's events; None if it declares none."""
    if not detector.schema.personal:
        return None
    return tokeniser(personal_key(settings.personal_key_file) or personal_key_of(settings.data))


@contextmanager
def open_rule_administration(detector: Detector, settings: Settings) -> Iterator[RuleAdministration]:
    """The rule and list administration in the office of the settings, with the detector's file adopted."""
    with office_of(settings) as database:
        yield rule_administration(database, detector, settings)


@contextmanager
def open_features(detector: Detector, settings: Settings) -> Iterator[FeatureStore]:
    """The feature store in the office of the settings."""
    with office_of(settings) as database:
        yield feature_store(database, detector, settings)


@contextmanager
def open_approving(detector: Detector, settings: Settings) -> Iterator[ApprovalService]:
    """The approval service for the office in the settings."""
    with office_of(settings) as database:
        others: dict[str, Approve] = {"feature": feature_store(database, detector, settings).approve}
        if detector.models:
            registry = open_registry(settings)
            others["model"] = Challengers(database, detector, registry, four_eyes=settings.four_eyes).approve
        yield rule_administration(database, detector, settings).approving(**others)


def trial_work(
    database: Database, detectors: Sequence[Detector], settings: Settings, *, alerted: Callable[[], bool] = lambda: False
) -> TrialWork:
    """The trials of the detectors of one process; alerted: whether an alert sink takes what guards announce."""
    return TrialWork(database, detectors, open_registry(settings), settings, alerted=alerted)


def with_stored_features(detector: Detector, settings: Settings) -> Detector:
    """A detector with its active run-time features from the office in the settings, if there is one."""
    if not has_office(settings):
        return detector
    with office_of(settings) as database:
        database.prepare(SCHEMA)
        return with_active_features(database, detector)


def with_stored_rules(detector: Detector, settings: Settings, *, rules: bool = True) -> Detector:
    """A detector with the lists from the office, and with its current rules; nothing is written.

    rules: off for a candidate, whose own rules are examined.
    """
    if not has_office(settings):
        return detector
    with office_of(settings) as database:
        store, lists = rule_store(database, detector), list_store(database, detector)
        lists_, bare = (
            {**detector.lists, **lists.members()},
            with_active_features(database, detector.with_rules([])) if rules else detector,
        )
        running = store.running() if rules and store.versions() else detector.rules
        return bare.with_rules(with_snoozes(running, lists_, bare), lists_)


def list_at(detector: Detector, settings: Settings) -> Callable[[str, str], Members | None]:
    """The function that returns a list at a version that a decision names; None if the office does not have it."""

    def found(name: str, version: str) -> Members | None:
        revision = version.partition("-")[0]
        if not revision.isdigit() or not has_office(settings):
            return None
        with office_of(settings) as database:
            return list_store(database, detector).at(name, int(revision))

    return found


def with_stored_features_and_lists(detector: Detector, settings: Settings) -> Detector:
    """A detector with its active run-time features and its lists from the office in the settings, if there is one.

    Each event reads the lists as of its arrival. Rules are those of the detector's file; nothing is written.
    """
    if not has_office(settings):
        return detector
    detector = with_stored_features(detector, settings)
    with office_of(settings) as database:
        lists_ = list_store(database, detector).over_time(detector.lists)
    lists_ = {**detector.lists, **lists_}
    return detector.with_rules(with_snoozes(detector.rules, lists_, detector), lists_)


def key_kept(detector: Detector, settings: Settings) -> bytes | None:
    """The key of the tokens on those lists; None if absent."""
    if not detector.schema.personal:
        return None
    path = settings.data / PERSONAL_KEY
    return personal_key(settings.personal_key_file or (path if path.exists() else None))
