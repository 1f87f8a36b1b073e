"""Replay: recorded events through the same path as live ones, in arrival order, with labels arriving when they did.

Whatever is trained, tested or backtested sees the numbers that a decision would have seen: there is no second
implementation of any feature.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.detector import Detector
from penstock.engine import Judged, Path
from penstock.engine.path import take
from penstock.ingest import Read, Reader
from penstock.ledger import Claims
from penstock.messages import Action, Batch, Type
from penstock.models import Ensemble, load_champion
from penstock.offline.datasets import Recorded, read

CHUNK = 16_384
"""Events decided together: enough to spread the costs of a batch, few enough to stay in the processor's cache."""
_TIME = pl.Datetime("us", "UTC")
_NAMES = np.array([action.name for action in Action])


@dataclass(slots=True)
class Chunk:
    """Some events of a replay, decided. judged is None where only features were asked for."""

    batch: Batch
    judged: Judged | None


@dataclass(slots=True)
class Replay:
    """A detector over recorded events. Iterate `chunks`, or take `frame`.

    duplicates: events whose id came before; they change nothing and get no row. refused: rows that are no events.
    """

    detector: Detector
    ensemble: Ensemble | None = None
    duplicates: int = 0
    path: Path = field(init=False)

    def __post_init__(self) -> None:
        self.path = Path(self.detector, self.ensemble)

    def chunks(self, recorded: Recorded, *, decide: bool = True) -> Iterator[Chunk]:
        """Run the events in arrival order, a chunk at a time."""
        reader = Reader(self.detector.schema, self.detector.plan.layout, personal_key=bytes(32))
        claims = Claims(self.detector.dedupe_us)
        arrived = "arrived_at" if "arrived_at" in recorded.frame.columns else None
        sequence = 0
        for part in recorded.frame.iter_slices(CHUNK):
            found = reader.read_frame(part, arrived=arrived)
            codes = found.id_codes
            new = np.flatnonzero(claims.claim(codes, found.batch.arrived_us, sequence) < 0)
            self.duplicates += len(found.batch) - len(new)
            batch = found.batch if len(new) == len(found.batch) else take(found.batch, new)
            for piece, start in self._pieces(batch, found, new, sequence):
                judged = self._run(piece, sequence + start, decide=decide)
                yield Chunk(piece, judged)
            sequence += len(batch)

    def read_all(self, recorded: Recorded) -> Batch:
        """All events as one batch, with every feature computed; for looking at what a kernel or a model gets."""
        reader = Reader(self.detector.schema, self.detector.plan.layout, personal_key=bytes(32))
        batch = reader.read_frame(recorded.frame).batch
        self.path.features(batch, 0)
        return batch

    def _pieces(self, batch: Batch, found: Read, rows: NDArray[np.int64], sequence: int) -> Iterator[tuple[Batch, int]]:
        """The chunk, cut so that no label falls due inside a piece that also holds its event."""
        known_us, fraud = self._labels(batch, found, rows)
        if fraud is None or not self.path.pending.matter:
            yield batch, 0
            return
        start = 0
        for end in _cuts(batch.time_us, known_us, fraud):
            piece = batch if (start, end) == (0, len(batch)) else take(batch, slice(start, end))
            yield piece, start
            for row in np.flatnonzero(fraud[start:end]).tolist():
                self.path.pending.add(int(known_us[start + row]), 1, sequence + start + row, piece, row)
            start = end

    def _labels(self, batch: Batch, found: Read, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
        """When each event's label became known, and whether it says fraud."""
        label = self.detector.label
        if label is None or found.labels[0] is None:
            return batch.time_us, None
        known_us = batch.time_us + label.delay_us
        if found.labels[1] is not None:
            stated = found.labels[1][rows]
            known_us = np.where(stated >= 0, stated, known_us)
        return known_us, found.labels[0][rows] == 1.0

    def _run(self, batch: Batch, sequence: int, *, decide: bool) -> Judged | None:
        if decide:
            return self.path.decide(batch, sequence, explain=False)
        self.path.features(batch, sequence)
        return None

    def frame(self, recorded: Recorded) -> pl.DataFrame:
        """One row per event: id, time, every feature, `score`, each member's score, `decision`."""
        frames = [self.rows(chunk) for chunk in self.chunks(recorded)]
        return pl.concat(frames) if frames else self.rows(Chunk(_nothing(self.detector), None))

    def rows(self, chunk: Chunk) -> pl.DataFrame:
        """A chunk as a frame."""
        batch, judged, layout = chunk.batch, chunk.judged, self.detector.plan.layout
        columns: dict[str, Any] = {self.detector.id: pl.Series(batch.ids, dtype=pl.String)}
        columns[self.detector.time] = pl.Series(batch.time_us).cast(_TIME)
        for name in self.detector.plan.features:
            columns[name] = _series(batch, layout[name])
        columns["score"] = _floats(judged.scores[:, 0] if judged else np.empty(0))
        for at, member in enumerate(self.ensemble.names if self.ensemble else ()):
            columns[f"score_{member}"] = _floats(judged.scores[:, 1 + at] if judged else np.empty(0))
        action = judged.verdicts.action if judged else np.empty(0, np.uint8)
        columns["decision"] = pl.Series(_NAMES[action].tolist(), dtype=pl.String)
        return pl.DataFrame(columns)


def replay(detector: Detector, data: Any, models: "Ensemble | FilePath | str | None" = None) -> pl.DataFrame:
    """Decide recorded events and return one row for each, in arrival order.

    Args:
        detector: what decides.
        data: a file (.csv, .parquet, .ndjson) or a frame; see `penstock.offline.datasets`.
        models: an ensemble, or the folder of bundles whose champion scores; without models the scores are null and
            rules alone decide.

    Returns:
        id, time, every feature, `score`, `score_MEMBER`, `decision`.

    Raises:
        DataError: the data does not fit the detector.
        BundleError: the models do not fit it.
    """
    ensemble = models if isinstance(models, Ensemble) or models is None else load_champion(FilePath(models), detector.name)
    return Replay(detector, ensemble).frame(read(data, detector))


def _cuts(times: NDArray[np.int64], known: NDArray[np.int64], fraud: NDArray[np.bool_]) -> list[int]:
    """Ends of pieces: a piece ends before the first event that could see a label of one of its own events."""
    ends: list[int] = []
    start, n = 0, len(times)
    newest = np.maximum.accumulate(times) if n else times
    while start < n:
        due = np.minimum.accumulate(np.where(fraud[start:], known[start:], np.iinfo(np.int64).max))
        sees = np.flatnonzero(newest[start + 1 :] >= due[:-1])
        start = start + 1 + int(sees[0]) if len(sees) else n
        ends.append(start)
    return ends


def _series(batch: Batch, column: Any) -> pl.Series:
    if column.type is Type.TEXT:
        return pl.Series(batch.texts[column.name], dtype=pl.String)
    values = np.ascontiguousarray(batch.x[:, column.index])
    if column.type is Type.BOOLEAN:
        return _floats(values).cast(pl.Boolean)
    return _floats(values).cast(pl.Int64).cast(_TIME) if column.type is Type.TIME else _floats(values)


def _floats(values: NDArray[np.float64]) -> pl.Series:
    return pl.Series(np.ascontiguousarray(values, np.float64), nan_to_null=True)


def _nothing(detector: Detector) -> Batch:
    layout, none = detector.plan.layout, np.empty(0, np.int64)
    texts: dict[str, list[str | None]] = {name: [] for name, column in layout.items() if column.type is Type.TEXT}
    return Batch(
        [], np.empty(0, np.uint8), none, none, np.empty((0, layout.width)), np.empty((0, layout.text_width), np.int64), texts
    )
