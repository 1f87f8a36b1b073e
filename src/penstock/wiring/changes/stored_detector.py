"""A detector with features and lists from the office, for offline use."""

from penstock.config import Settings
from penstock.detector import Detector
from penstock.engine.startup import PERSONAL_KEY
from penstock.wiring.changes.active_features import as_grown
from penstock.wiring.changes.rule_stores import list_store
from penstock.wiring.database import has_office, office_of
from penstock.wiring.engines import personal_key


def with_stored_features_and_lists(detector: Detector, settings: Settings) -> Detector:
    """A detector with its active run-time features and its lists from the office in the settings, if there is one.

    Each event reads the lists as of its arrival. Rules are those of the detector's file; nothing is written.
    """
    if not has_office(settings):
        return detector
    detector = as_grown(detector, settings)
    with office_of(settings) as database:
        held = list_store(database, detector).over_time(detector.lists)
    return detector.with_rules(detector.rules, {**detector.lists, **held})


def key_kept(detector: Detector, settings: Settings) -> bytes | None:
    """The key of the tokens on those lists; None if there is none."""
    if not detector.schema.personal:
        return None
    path = settings.data / PERSONAL_KEY
    return personal_key(settings.personal_key_file or (path if path.exists() else None))
