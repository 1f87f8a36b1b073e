"""Drift references: from a model bundle, or made from recorded data."""

from pathlib import Path

from penstock.config import Settings
from penstock.detector import Detector
from penstock.errors import BundleError
from penstock.models import Ensemble, load_bundle
from penstock.models.reference import Reference, read_reference, reference_in
from penstock.offline.datasets import Recorded
from penstock.offline.drift.reference import reference_of, reference_of_inputs
from penstock.offline.rows import unjudged
from penstock.wiring.registries import open_registry


def reference_file(settings: Settings, detector: str, version: str | None) -> Path:
    """The file of a reference made from data, for a version of models or for rules alone."""
    return settings.models_folder / detector / f"reference-{version or 'rules'}.json"


def reference_for(settings: Settings, detector: Detector, version: str | None) -> tuple[Reference, Ensemble | None]:
    """The reference of a model version, and the models.

    Raises:
        BundleError: the version was trained without a reference and none was made since, or it is damaged.
    """
    folder = settings.models_folder / detector.name / version if version is not None else None
    ensemble = load_bundle(folder) if folder is not None else None
    made = reference_in(reference_file(settings, detector.name, version))
    if made is not None:
        return made, ensemble
    found = read_reference(folder, ensemble.manifest) if folder is not None and ensemble is not None else None
    if found is None:
        whose = f"model {version} of {detector.name!r}" if version is not None else f"{detector.name!r}, which has no models,"
        raise BundleError(
            f"{whose} has no reference to compare traffic with: train it again, or make one from recorded data"
            f" with penstock drift {detector.name} --reference FILE"
        )
    return found, ensemble


def make_reference(settings: Settings, detector: Detector, recorded: Recorded) -> Path:
    """Make a reference for the deciding version from recorded data, which replaces that of its bundle; returns its path.

    Raises:
        DataError: nothing in the data fits. BundleError: the champion is damaged.
    """
    version = champion_version(settings, detector)
    rows = unjudged(detector, recorded)
    name = Path(recorded.name).name
    if version is None:
        reference = reference_of_inputs(detector, rows, name)
    else:
        ensemble = load_bundle(open_registry(settings).fetch(detector.name, version))
        reference = reference_of(detector, ensemble, rows, rows.time_us >= rows.time_us.min(), name)
    path = reference_file(settings, detector.name, version)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(reference.as_bytes())
    fresh.replace(path)
    return path


def champion_version(settings: Settings, detector: Detector) -> str | None:
    """The version that decides; None for rules alone."""
    return open_registry(settings).alias(detector.name, "champion") if detector.models else None
