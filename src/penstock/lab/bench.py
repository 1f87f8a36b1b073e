"""The workbench: cached data, replays and models for the pages. All results come from the library; this module combines them

and caches the last few.

Nothing is computed here that the library does not compute: this says what belongs together, and remembers the last few results.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.clock import iso
from penstock.config import Settings
from penstock.detector import Detector
from penstock.errors import ConfigurationError, DataError
from penstock.lab.figures import distribution, outcomes, summary
from penstock.lab.source import EventSource, RecordedFile, SimulatedEvents
from penstock.models import Ensemble
from penstock.offline import measure
from penstock.offline.datasets import ROW, Recorded, read
from penstock.offline.registry import RegistryEntry, fitting
from penstock.offline.replay import placed
from penstock.offline.report.mistakes import Decided, decided
from penstock.offline.rows import Rows, replayed
from penstock.offline.thresholds import ScoredRows
from penstock.wiring.detectors import load_detector
from penstock.wiring.governance import with_stored_features
from penstock.wiring.registries import open_registry
from penstock.wiring.traffic.events import profile_of, read_recorded, simulation

_LARGE, _SMALL = 2, 64
"""Results that are remembered: of those as large as the data few enough for the memory of one machine."""


@dataclass(frozen=True)
class LabelledEvents:
    """Events of known outcome. said: `score`, `score_MEMBER` and `decision` of each. unknown: the number of other events."""

    rows: Rows
    said: pl.DataFrame
    unknown: int

    @property
    def score(self) -> NDArray[np.float64]:
        """The score of each."""
        return self.said["score"].to_numpy()

    @property
    def members(self) -> dict[str, NDArray[np.float64]]:
        """The score that each member gave."""
        given = {name.removeprefix("score_"): name for name in self.said.columns if name.startswith("score_")}
        return {name: self.said[column].to_numpy() for name, column in given.items()}

    @property
    def scored(self) -> ScoredRows:
        """As thresholds are chosen on."""
        return measure.scored(self.score, self.rows, self.unknown)


class Bench:
    """Cached access to data and models through the library. Thread-safe.

    settings: where models are kept, and the office.

    >>> from penstock.lab.options import LabOptions
    >>> bench = Bench(LabOptions().settings)
    >>> source = bench.source("banking", SimulatedEvents(events=200))
    >>> len(bench.recorded(source).frame), bench.decided(source, None)["decision"].n_unique() >= 1
    (200, True)
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._loaded = lru_cache(maxsize=None)(load_detector)
        self.recorded = lru_cache(_LARGE)(self._recorded)
        self.simulated = lru_cache(_LARGE)(self._simulated)
        self.placed = lru_cache(_LARGE)(self._placed)
        self.outcome = lru_cache(_LARGE)(self._outcome)
        self.truth = lru_cache(_LARGE)(self._truth)
        self.said = lru_cache(4 * _LARGE)(self._said)
        self.ensemble = lru_cache(_SMALL)(self._ensemble)
        self.mistakes = lru_cache(_SMALL)(self._mistakes)
        self.summary = lru_cache(_SMALL)(self._summary)
        self.distribution = lru_cache(_SMALL)(self._distribution)

    # ---------------------------------------------------------------- what there is

    def detector(self, reference: str) -> Detector:
        """A detector by its DETECTOR of the command line, with the features added at run time.

        Raises:
            PenstockError: it does not exist, or its file cannot be loaded.
        """
        return with_stored_features(self._loaded(reference), self.settings)

    def can_simulate(self, reference: str) -> bool:
        """Whether the simulator knows how to make its events."""
        try:
            profile_of(reference)
        except ConfigurationError:
            return False
        return True

    def versions(self, reference: str) -> list[RegistryEntry]:
        """The versions of its models, the newest first."""
        return open_registry(self.settings).entries(self.detector(reference).name)[::-1]

    def source(self, reference: str, events: RecordedFile | SimulatedEvents) -> EventSource:
        """These events through this detector."""
        return EventSource(reference, self.detector(reference).version, events)

    def judged(self, source: EventSource, version: str, since_us: int = 0) -> LabelledEvents:
        """Events of known outcome, and what a version says about each. since_us: nothing before this instant counts.

        Raises:
            DataError: there are none, or the detector declares no label.
        """
        rows, unknown = self._known(source, since_us)
        decided = self.said(source, version)
        said = pl.DataFrame({ROW: rows.row}).join(decided, on=ROW, how="left", maintain_order="left").drop(ROW)
        return LabelledEvents(rows, said, unknown)

    def _known(self, source: EventSource, since_us: int) -> tuple[Rows, int]:
        """The transactions of known outcome, and how many more there are."""
        rows = self.truth(source)
        inside = rows.time_us >= since_us
        known = inside & rows.known
        if not known.any():
            newest = iso(int(rows.time_us.max())) if len(rows) else "never"
            raise DataError(f"no event from {iso(since_us)} on has a known outcome; the newest event is of {newest}")
        return rows.take(known), int(inside.sum() - known.sum())

    # ---------------------------------------------------------------- what is remembered

    def _recorded(self, source: EventSource) -> Recorded:
        """The events, in arrival order."""
        if isinstance(source.events, RecordedFile):
            return read_recorded(source.detector, source.events.path)
        return read(self.simulated(source.detector, source.events), self.detector(source.detector), name="simulated events")

    def _simulated(self, reference: str, world: SimulatedEvents) -> pl.DataFrame:
        """Simulated events with everything that is known only later: their labels, and `attack`."""
        return simulation(
            reference,
            events=world.events,
            days=world.days,
            fraud_rate=world.fraud_rate,
            attacks=world.attacks,
            seed=world.seed,
        ).frame()

    def _ensemble(self, reference: str, version: str) -> Ensemble:
        """A version of a detector's models."""
        return fitting(open_registry(self.settings), self.detector(reference), version)

    def decided(self, source: EventSource, version: str | None) -> pl.DataFrame:
        """The result of `penstock.replay`: every feature, score and decision; without a version, by rules alone."""
        return self.placed(source, version)[0]

    def _placed(self, source: EventSource, version: str | None) -> tuple[pl.DataFrame, NDArray[np.int64]]:
        """The same, and where each of its rows stands among the recorded events."""
        ensemble = self.ensemble(source.detector, version) if version else None
        return placed(self.detector(source.detector), self.recorded(source), ensemble)

    def _said(self, source: EventSource, version: str) -> pl.DataFrame:
        """Of `decided` what models and rules say: `row` among the recorded events, `score`, `score_MEMBER`, `decision`."""
        members = [f"score_{name}" for name in self.ensemble(source.detector, version).names]
        frame, rows = self.placed(source, version)
        return frame.select(pl.Series(ROW, rows), "score", *members, "decision")

    def _outcome(self, source: EventSource, version: str | None) -> pl.Series:
        """What the data says about each row of `decided`, in words; `unknown` of all where it does not."""
        detector, recorded = self.detector(source.detector), self.recorded(source).frame
        _, rows = self.placed(source, version)
        label = detector.label.field if detector.label is not None else ""
        if label not in recorded.columns:
            return pl.Series(["unknown"], dtype=pl.String).new_from_index(0, len(rows))
        return outcomes(recorded[label].gather(rows))

    def _summary(self, source: EventSource, version: str | None) -> pl.DataFrame:
        """Every feature in a row: see `penstock.lab.figures.summary`."""
        features = self.detector(source.detector).plan.features
        return summary(self.decided(source, version).select(features), self.outcome(source, version))

    def _distribution(self, source: EventSource, version: str | None, feature: str) -> pl.DataFrame:
        """How the values of a feature are distributed: see `penstock.lab.figures.distribution`."""
        return distribution(self.decided(source, version)[feature], self.outcome(source, version))

    def _truth(self, source: EventSource) -> Rows:
        """Every transaction with its outcome, NaN where nobody knows it; without the inputs of models."""
        rows = replayed(self.detector(source.detector), self.recorded(source))
        return replace(rows, x=np.empty((len(rows), 0)), texts={})

    def _mistakes(self, source: EventSource, version: str, since_us: int) -> Decided:
        """Decisions about events of known outcome, and the most costly mistakes, with reasons."""
        rows, _ = self._known(source, since_us)
        return decided(self.detector(source.detector), self.ensemble(source.detector, version), self.recorded(source), rows)
