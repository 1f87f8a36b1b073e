"""The model registry from the settings, and the champion source of a service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.audit import AuditLog, note
from penstock.clock import Clock, system_clock
from penstock.config import Settings
from penstock.errors import ConfigurationError
from penstock.models.bundle_store import promote
from penstock.offline.registry import FolderRegistry, Registry, fitting
from penstock.wiring.database import has_office, office_of

if TYPE_CHECKING:
    from penstock.detector import Detector
    from penstock.models import Ensemble
    from penstock.offline.trainer import Round


def open_registry(settings: Settings) -> Registry:
    """The registry in the settings.

    Raises:
        MissingExtra: it is MLflow, which is not installed.
        RegistryError: it cannot be opened.
    """
    if settings.registry == "folder":
        return FolderRegistry(settings.models_folder)
    from penstock.adapters.mlflow import MlflowRegistry

    return MlflowRegistry(settings.models_folder)


def champions(detectors: Sequence[Detector], settings: Settings) -> dict[str, Callable[[str | None], Ensemble | None]]:
    """For each detector that declares models, the source of newer champions."""
    champion = Champion(settings)
    return {detector.name: partial(champion.newer, detector) for detector in detectors if detector.models}


class Champion:
    """Polls the registry for the champion, and downloads it into the folder that engines load from.

    The folder keeps downloaded versions, and its own `champion` alias follows: a service that starts while the registry
    does not answer continues with the champion it had.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._registry = open_registry(settings)  # imports libraries before there is traffic

    def newer(self, detector: Detector, version: str | None) -> Ensemble | None:
        """The champion if it differs from this version: loaded, validated, and run once.

        Raises:
            BundleError: it is damaged, or does not fit the detector.
            RegistryError: the registry does not answer.
        """
        wanted = self._registry.alias(detector.name, "champion")
        if wanted is None or wanted == version:
            return None
        from penstock.wiring.governance import with_stored_features

        ensemble = fitting(self._registry, with_stored_features(detector, self._settings), wanted)
        ensemble.warm()
        if not isinstance(self._registry, FolderRegistry):
            promote(self._registry.folder, detector.name, wanted)
        return ensemble


def detector_named(name: str, reference: str | None) -> Detector:
    """The detector of a version: from the reference, else the installed one with this name.

    Raises:
        ConfigurationError: it is not installed and no file was named, or the reference is another detector.
    """
    from penstock.wiring.detectors import installed, load_detector

    if reference is None:
        if name not in installed():
            raise ConfigurationError(f"detector {name!r} is not installed; name its file: --detector FILE.py")
        return load_detector(name)
    detector = load_detector(reference)
    if detector.name != name:
        raise ConfigurationError(f"{reference} declares detector {detector.name!r}, but the version belongs to {name!r}")
    return detector


def name_of(reference: str | None) -> str | None:
    """The name of a detector given by name, which need not be installed, or by file."""
    if reference is None or not reference.partition(":")[0].endswith(".py"):
        return reference
    from penstock.wiring.detectors import load_detector

    return load_detector(reference).name


def note_challenger(settings: Settings, detector: Detector, done: Round, *, clock: Clock = system_clock) -> None:
    """Audit that a training made a version the challenger; if there is a data folder or an office.

    Raises:
        LedgerError: the office does not answer.
    """
    if done.challenger != done.version or not (settings.data.is_dir() or has_office(settings)):
        return
    with office_of(settings) as office:
        AuditLog(office)
        details = {"why": done.why, "champion": done.champion, "average_precision": done.average_precision}
        with office.write() as transaction:
            note(
                transaction,
                who="trainer",
                action="model.challenge",
                subject=f"models/{detector.name}/{done.version}",
                details=details | {"champion_average_precision": done.champion_average_precision},
                at_us=clock(),
            )


def request_file(settings: Settings, detector: str) -> Path:
    """The file whose creation starts a training of a detector."""
    return settings.models_folder / detector / "train-now"
