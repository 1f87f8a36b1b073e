"""Active run-time features from the office, as part of a detector."""

from collections.abc import Collection, Sequence

from penstock.clock import iso
from penstock.config import Settings
from penstock.database import Database
from penstock.detector import Detector
from penstock.errors import DeclarationError
from penstock.features.definitions import Added, read_described
from penstock.governance.feature_versions import SCHEMA, Version, read_versions
from penstock.wiring.database import has_office, office_of


def added_of(versions: Sequence[Version]) -> list[Added]:
    """Versions of features, as a detector takes them."""
    return [Added(each.name, read_described(each.body, each.name)) for each in versions]


def grown(database: Database, detector: Detector) -> Detector:
    """A detector with its active run-time features; their table must have been prepared.

    Raises:
        DeclarationError: they do not fit the detector's current file.
    """
    versions = read_versions(database.read, detector.name)
    active = sorted((each for each in versions if each.state == "active"), key=lambda each: each.name)
    added = added_of(active)
    if tuple(added) == detector.added:
        return detector
    try:
        return detector.with_features(added)
    except DeclarationError as error:
        raise DeclarationError(
            f"features that were made at run time do not fit the file of detector {detector.name!r} any more: {error}; "
            "archive them (penstock features archive), or change the file"
        ) from error


def as_grown(detector: Detector, settings: Settings) -> Detector:
    """A detector with its active run-time features from the office in the settings, if there is one."""
    if not has_office(settings):
        return detector
    with office_of(settings) as database:
        database.prepare(SCHEMA)
        return grown(database, detector)


def not_active(database: Database, detector: Detector, words: Collection[str]) -> str | None:
    """A message about an inactive feature among these names; None if there is none."""
    newest = {each.name: each for each in read_versions(database.read, detector.name) if each.state != "archived"}
    for name, version in newest.items():
        if name not in words or name in detector.plan.layout:
            continue
        if version.state == "filling":
            return f"feature {name!r} is being filled since {iso(version.changed_us)}; try again when it is active"
        return f"feature {name!r} is a draft, which nothing may read; activate it first (penstock features activate)"
    return None
