"""The source of challengers for deciding processes: running trials, with models loaded and warm."""

import logging
import time
from collections.abc import Sequence

from penstock.config import Settings
from penstock.database import Database
from penstock.detector import Detector
from penstock.engine.trials.challenger import InTrial, NewerTrial
from penstock.errors import PenstockError, RegistryError
from penstock.wiring.changes.challengers import Challengers
from penstock.wiring.registries import open_registry

_AGAIN_S = 5.0
"""Seconds before a challenger that could not be loaded is retried; the end of its trial applies at once."""

_log = logging.getLogger("penstock.models")


def newer_challengers(database: Database, detectors: Sequence[Detector], settings: Settings) -> dict[str, NewerTrial]:
    """For each detector that declares models, the source of its challengers."""
    registry = open_registry(settings)
    return {
        detector.name: following(Challengers(database, detector, registry), settings.follow_every_s)
        for detector in detectors
        if detector.models
    }


def following(challengers: Challengers, adopt_every_s: float) -> NewerTrial:
    """A function that loads the challengers whenever their revision has changed."""
    adopted_s, failed, failed_s = -float("inf"), -1, 0.0

    def newer(revision: int) -> InTrial | None:
        nonlocal adopted_s, failed, failed_s
        now_s = time.monotonic()
        if now_s - adopted_s > adopt_every_s:
            adopted_s = now_s
            _adopt(challengers)
        found = challengers.trials.revision()  # read first: if it changes in between, it is read once more
        if found == revision or (found == failed and now_s - failed_s < _AGAIN_S):
            return None
        try:
            return InTrial(found, challengers.challengers())
        except PenstockError:
            failed, failed_s = found, now_s
            raise

    return newer


def _adopt(challengers: Challengers) -> None:
    """Adopt the registry's challenger; an unreachable registry must not keep a trial from ending."""
    try:
        challengers.adopt()
    except RegistryError as error:
        _log.debug("which version is the challenger cannot be had: %s", error)
