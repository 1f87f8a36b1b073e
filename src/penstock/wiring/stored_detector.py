"""A detector as the office keeps it, for what is decided offline: with the features and the lists that people made."""

from penstock.config import Settings
from penstock.detector import Detector
from penstock.engine.startup import PERSONAL_KEY
from penstock.wiring.database import has_office, office_of
from penstock.wiring.engines import personal_key
from penstock.wiring.features import as_grown
from penstock.wiring.rule_stores import list_store


def with_stored_features_and_lists(detector: Detector, settings: Settings) -> Detector:
    """A detector with the features that are active in the office that the settings name, if there is one, and its lists.

    Each event meets the lists as they were when it arrived. Rules are those of the detector's file; nothing is written.
    """
    if not has_office(settings):
        return detector
    detector = as_grown(detector, settings)
    with office_of(settings) as database:
        held = list_store(database, detector).over_time(detector.lists)
    return detector.with_rules(detector.rules, {**detector.lists, **held})


def key_kept(detector: Detector, settings: Settings) -> bytes | None:
    """The key that made the tokens of personal values on those lists; None where there is none."""
    if not detector.schema.personal:
        return None
    path = settings.data / PERSONAL_KEY
    return personal_key(settings.personal_key_file or (path if path.exists() else None))
