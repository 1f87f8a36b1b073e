"""The detector of a job: named in the driver, opened once in every Python worker."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

from penstock.detector import Detector
from penstock.errors import ConfigurationError
from penstock.features import Aggregate
from penstock.features.vocabulary import LINKED
from penstock.ingest import Reader
from penstock.models import Ensemble, load_champion

_PERSONAL_KEY = bytes(32)
"""Recorded personal fields become tokens under one key everywhere, as in a replay."""


@dataclass(frozen=True)
class DetectorSource:
    """A detector by reference, which travels to the workers in its place.

    load: turns the reference into the detector; a function at the top of a module, so that it travels too.
    models: the folder of bundles whose champion scores, None for rules alone.
    """

    reference: str
    load: Callable[[str], Detector]
    models: str | None = None
    personal_key: bytes = _PERSONAL_KEY

    @property
    def detector(self) -> Detector:
        """The detector."""
        return _detector(self)

    @property
    def ensemble(self) -> Ensemble | None:
        """The models that score."""
        return _ensemble(self)

    def reader(self) -> Reader:
        """The reader of its events."""
        detector = self.detector
        return Reader(detector.schema, detector.plan.layout, personal_key=self.personal_key)


def check_links(detector: Detector) -> None:
    """Refuse linked features, which no bucket of keys can compute.

    Raises:
        ConfigurationError: the detector has some.
    """
    if detector.plan.links:
        names = ", ".join(
            feature.name for feature in detector.features if isinstance(feature, Aggregate) and feature.kind in LINKED
        )
        raise ConfigurationError(
            f"detector {detector.name!r} has linked features ({names}): they depend on events of other keys, and Spark keeps "
            "the state of each key apart; use penstock worker or penstock replay, or leave them out of the detector"
        )


@functools.cache
def _detector(source: DetectorSource) -> Detector:
    return source.load(source.reference)


@functools.cache
def _ensemble(source: DetectorSource) -> Ensemble | None:
    if source.models is None:
        return None
    from pathlib import Path

    return load_champion(Path(source.models), source.detector.name)
