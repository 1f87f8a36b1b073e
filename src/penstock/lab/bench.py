"""The workbench: data, replays and models as the library gives them, kept while one page after the other looks at them.

Nothing is computed here that the library does not compute: this says what belongs together, and remembers the last few results.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.assemble.detectors import load_detector
from penstock.assemble.features import as_grown
from penstock.assemble.registries import open_registry
from penstock.assemble.traffic import read_recorded, simulation
from penstock.clock import iso
from penstock.config import Settings
from penstock.detector import Detector
from penstock.errors import DataError
from penstock.lab.figures import outcomes
from penstock.lab.source import File, Source, World
from penstock.models import Ensemble
from penstock.offline import measure
from penstock.offline.datasets import Recorded, read
from penstock.offline.registry import Entry, fitting
from penstock.offline.replay import replay
from penstock.offline.report.mistakes import Decided, decided
from penstock.offline.rows import Rows, replayed
from penstock.offline.thresholds import Scored

_KEPT = 4
"""Data sets, replays and models that are remembered: enough to compare, few enough for the memory of one machine."""


@dataclass(frozen=True)
class Judged:
    """Events of known outcome. said: `score`, `score_MEMBER` and `decision` of each. unknown: how many more came."""

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
    def scored(self) -> Scored:
        """As thresholds are chosen on."""
        return measure.scored(self.score, self.rows, self.unknown)


class Bench:
    """What the library says about data and models; the last few results are remembered, and several threads may ask.

    settings: where models are kept, and the office.

    >>> from penstock.lab.asked import Asked
    >>> bench = Bench(Asked().settings)
    >>> source = bench.source("banking", World(events=200))
    >>> len(bench.recorded(source).frame), bench.decided(source, None)["decision"].n_unique() >= 1
    (200, True)
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._loaded = lru_cache(maxsize=None)(load_detector)
        self.recorded = lru_cache(_KEPT)(self._recorded)
        self.simulated = lru_cache(_KEPT)(self._simulated)
        self.ensemble = lru_cache(_KEPT)(self._ensemble)
        self.decided = lru_cache(2 * _KEPT)(self._decided)
        self.truth = lru_cache(_KEPT)(self._truth)
        self.mistakes = lru_cache(_KEPT)(self._mistakes)

    # ---------------------------------------------------------------- what there is

    def detector(self, reference: str) -> Detector:
        """A detector by its DETECTOR of the command line, with the features that were made at run time.

        Raises:
            PenstockError: there is none, or its file cannot be loaded.
        """
        return as_grown(self._loaded(reference), self.settings)

    def versions(self, reference: str) -> list[Entry]:
        """The versions of its models, the newest first."""
        return open_registry(self.settings).entries(self.detector(reference).name)[::-1]

    def source(self, reference: str, events: File | World) -> Source:
        """These events through this detector."""
        return Source(reference, self.detector(reference).version, events)

    def judged(self, source: Source, version: str, since_us: int = 0) -> Judged:
        """Events of known outcome, and what a version says about each. since_us: nothing before this instant counts.

        Raises:
            DataError: there are none, or the detector declares no label.
        """
        rows, unknown = self._known(source, since_us)
        ids = pl.DataFrame({"id": pl.Series(rows.ids.tolist(), dtype=pl.String)})
        name = self.detector(source.detector).id
        decisions = self.decided(source, version).select(pl.col(name).alias("id"), "^score.*$", "decision")
        said = ids.join(decisions, on="id", how="left", maintain_order="left")
        return Judged(rows, said, unknown)

    def outcome(self, source: Source) -> pl.Series:
        """What is known of each row of `decided`, in words; `unknown` of all where nobody says."""
        decided = self.decided(source, None)
        name = self.detector(source.detector).id
        try:
            rows = self.truth(source)
        except DataError:
            return pl.Series("outcome", ["unknown"]).new_from_index(0, len(decided))
        truth = pl.DataFrame({name: pl.Series(rows.ids.tolist(), dtype=pl.String), "fraud": rows.fraud})
        return outcomes(decided.select(name).join(truth, on=name, how="left", maintain_order="left")["fraud"])

    def _known(self, source: Source, since_us: int) -> tuple[Rows, int]:
        """The transactions of known outcome, and how many more there are."""
        rows = self.truth(source)
        inside = rows.time_us >= since_us
        known = inside & rows.known
        if not known.any():
            newest = iso(int(rows.time_us.max())) if len(rows) else "never"
            raise DataError(f"no event from {iso(since_us)} on has a known outcome; the newest event is of {newest}")
        return rows.take(known), int(inside.sum() - known.sum())

    # ---------------------------------------------------------------- what is remembered

    def _recorded(self, source: Source) -> Recorded:
        """The events, in arrival order."""
        if isinstance(source.events, File):
            return read_recorded(source.detector, source.events.path)
        return read(self.simulated(source.detector, source.events), self.detector(source.detector), name="simulated events")

    def _simulated(self, reference: str, world: World) -> pl.DataFrame:
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

    def _decided(self, source: Source, version: str | None) -> pl.DataFrame:
        """What `penstock.replay` gives: every feature, score and decision; without a version rules alone decide."""
        ensemble = self.ensemble(source.detector, version) if version else None
        return replay(self.detector(source.detector), self.recorded(source), ensemble)

    def _truth(self, source: Source) -> Rows:
        """Every transaction with its outcome, NaN where nobody knows it."""
        return replayed(self.detector(source.detector), self.recorded(source))

    def _mistakes(self, source: Source, version: str, since_us: int) -> Decided:
        """What was decided about events of known outcome, and the mistakes that cost most, with reasons."""
        rows, _ = self._known(source, since_us)
        return decided(self.detector(source.detector), self.ensemble(source.detector, version), self.recorded(source), rows)
