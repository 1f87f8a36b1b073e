"""Replay of recorded events through the live pipeline, in arrival order, with labels arriving when they did.

Training, tests and backtests see the numbers that a live decision would have seen: features have one implementation.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.detector import Detector
from penstock.engine import BatchResult, Pipeline
from penstock.engine.labels.queue import stream_clock
from penstock.features.compiled.background import speed_up
from penstock.ingest import Reader, ReadEvents, SeriesTexts
from penstock.ingest.labels import Labels
from penstock.ingest.selection import take
from penstock.ledger import Claims
from penstock.messages import Action, Batch, Column, Type
from penstock.models import Ensemble, load_champion
from penstock.offline.datasets import MOST_REFUSED, Recorded, accepted, read
from penstock.offline.kernel import spread

CHUNK = 16_384
"""Events decided together: enough to spread the costs of a batch, few enough to stay in the processor's cache."""
_TIME = pl.Datetime("us", "UTC")
_NAMES = pl.Series([action.name for action in Action])


@dataclass(slots=True)
class ReplayChunk:
    """Some events of a replay, decided. judged is None if only features were requested.

    rows: the row of each in the recorded frame, which has its label, amount and other recorded values. Ids may repeat there.
    """

    batch: Batch
    rows: NDArray[np.int64]
    judged: BatchResult | None


@dataclass(slots=True)
class Replay:
    """A detector over recorded events. Iterate `chunks`, or take `frame`.

    duplicates: events whose id came before; they change nothing and get no row. refused: rows that are no events.
    personal_key: makes the tokens of personal values; it matters where they are compared with tokens that were made before.
    """

    detector: Detector
    ensemble: Ensemble | None = None
    duplicates: int = 0
    personal_key: bytes = bytes(32)
    pipeline: Pipeline = field(init=False)

    def __post_init__(self) -> None:
        self.pipeline = Pipeline(self.detector, self.ensemble)

    def chunks(self, recorded: Recorded, *, decide: bool = True) -> Iterator[ReplayChunk]:
        """Run the events in arrival order, a chunk at a time."""
        with speed_up(self.pipeline.state, len(recorded.frame)):
            yield from self._chunks(recorded, decide=decide)

    def _chunks(self, recorded: Recorded, *, decide: bool) -> Iterator[ReplayChunk]:
        reader = Reader(self.detector.schema, self.detector.plan.layout, personal_key=self.personal_key)
        arrived = "arrived_at" if "arrived_at" in recorded.frame.columns else None
        known = _Deduplication.of(recorded.frame[self.detector.id], self.detector.dedupe_us)
        sequence = done = 0
        for found in reader.read_frames(recorded.frame, CHUNK, arrived=arrived):
            stands = done + found.rows
            new = known.new(found.batch, stands, sequence)
            done += len(found.batch) + len(found.refused)
            batch = found.batch if new is None else take(found.batch, new)
            stands = stands if new is None else stands[new]
            self.duplicates += len(found.batch) - len(batch)
            for piece, start in self._pieces(batch, found, new, sequence):
                judged = self._run(piece, sequence + start, decide=decide)
                yield ReplayChunk(piece, stands[start : start + len(piece)], judged)
            sequence += len(batch)

    def read_all(self, recorded: Recorded) -> Batch:
        """All events as one batch with every feature computed, for inspecting the inputs of kernels and models."""
        reader = Reader(self.detector.schema, self.detector.plan.layout, personal_key=self.personal_key)
        batch = reader.read_frame(recorded.frame).batch
        self.pipeline.features(batch, 0)
        return batch

    def _pieces(
        self, batch: Batch, found: ReadEvents, rows: NDArray[np.int64] | None, sequence: int
    ) -> Iterator[tuple[Batch, int]]:
        """The chunk, cut so that no label falls due inside a piece that also holds its event."""
        known_us, fraud = known_labels(self.detector, batch, found.labels, rows)
        if fraud is None or not self.pipeline.pending.matter:
            yield batch, 0
            return
        start = 0
        for end in cuts(stream_clock(batch, self.pipeline.state.clock_us), known_us, fraud):
            piece = batch if (start, end) == (0, len(batch)) else take(batch, slice(start, end))
            yield piece, start
            for row in np.flatnonzero(fraud[start:end]).tolist():
                self.pipeline.pending.add(int(known_us[start + row]), 1, sequence + start + row, piece, row)
            start = end

    def _run(self, batch: Batch, sequence: int, *, decide: bool) -> BatchResult | None:
        if decide:
            return self.pipeline.decide(batch, sequence, explain=False)
        self.pipeline.features(batch, sequence)
        return None

    def frame(self, recorded: Recorded) -> pl.DataFrame:
        """One row per event: id, time, every feature, `score`, each member's score, `decision`."""
        return self.placed(recorded)[0]

    def placed(self, recorded: Recorded) -> tuple[pl.DataFrame, NDArray[np.int64]]:
        """The same, and the position of each of its rows in the recorded frame."""
        rows = [np.empty(0, np.int64)]

        def noted() -> Iterator[ReplayChunk]:
            for chunk in self.chunks(recorded):
                rows.append(chunk.rows)
                yield chunk

        frame = frame_of(self.detector, self.ensemble, noted(), len(recorded.frame))
        return frame, np.concatenate(rows)


def frame_of(detector: Detector, ensemble: Ensemble | None, chunks: Iterable[ReplayChunk], size: int) -> pl.DataFrame:
    """At most `size` decided events, in the form of `Replay.frame`."""
    layout, members = detector.plan.layout, ensemble.names if ensemble else ()
    columns = [layout[name] for name in detector.plan.features]
    table = _Table(size, columns, 1 + len(members))
    for chunk in chunks:
        table.add(chunk)
    scores = dict(zip(("score", *(f"score_{name}" for name in members)), table.scores, strict=True))
    return pl.DataFrame(
        {
            detector.id: table.ids(),
            detector.time: pl.Series(table.time_us[: table.rows]).cast(_TIME),
            **{column.name: table.feature(k) for k, column in enumerate(columns)},
            **{name: _floats(values[: table.rows]) for name, values in scores.items()},
            "decision": _NAMES.gather(table.action[: table.rows]),
        }
    )


def known_labels(
    detector: Detector, batch: Batch, labels: Labels, rows: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
    """When each event's label became known (microseconds), and whether it is fraud; None without a label.

    labels: as read with the events, of which `rows` are those of the batch.
    """
    fraud, stated = labels
    if detector.label is None or fraud is None:
        return batch.time_us, None
    known_us = batch.time_us + detector.label.delay_us
    if stated is not None:
        stated = stated if rows is None else stated[rows]
        known_us = np.where(stated >= 0, stated, known_us)
    return known_us, (fraud if rows is None else fraud[rows]) == 1.0


class _Deduplication:
    """Deduplication in a replay, by the ids themselves. codes: one for each id, from 1."""

    def __init__(self, codes: NDArray[np.int64] | None, dedupe_us: int) -> None:
        self._codes, self._claims = codes, Claims(dedupe_us)

    @classmethod
    def of(cls, ids: pl.Series, dedupe_us: int) -> "_Deduplication":
        """The code of each id. Ids that increase from row to row, as most do, cannot repeat."""
        if (ids.slice(1) > ids.slice(0, max(len(ids) - 1, 0))).all():
            return cls(None, dedupe_us)
        return cls(ids.cast(pl.Categorical).to_physical().to_numpy().astype(np.int64) + 1, dedupe_us)

    def new(self, batch: Batch, rows: NDArray[np.int64], sequence: int) -> NDArray[np.int64] | None:
        """The new events of a batch; None where all are. rows: where they stand in the recorded data."""
        if self._codes is None:
            return None
        new = np.flatnonzero(self._claims.claim(self._codes[rows], batch.arrived_us, sequence) < 0)
        return None if len(new) == len(batch) else new


class _Table:
    """The growing columns of a replay's frame, allocated at full size: joining a thousand frames costs more."""

    def __init__(self, size: int, columns: Sequence[Column], scores: int) -> None:
        self.rows = 0
        self.time_us = np.empty(size, np.int64)
        self.scores = np.empty((scores, size))
        self.action = np.empty(size, np.uint8)
        self._columns = columns
        self._places = np.array([-1 if c.type is Type.TEXT else c.index for c in columns], np.int64)
        self._numbers = np.empty((len(columns), size))
        self._texts: dict[int, list[str | None]] = {k: [] for k, c in enumerate(columns) if c.type is Type.TEXT}
        self._ids: list[pl.Series] = [pl.Series(dtype=pl.String)]

    def add(self, chunk: ReplayChunk) -> None:
        """Append the rows of a chunk."""
        batch, judged = chunk.batch, chunk.judged
        here = slice(self.rows, self.rows + len(batch))
        self.rows = here.stop
        self.time_us[here] = batch.time_us
        ids = batch.ids
        self._ids.append(ids.series if isinstance(ids, SeriesTexts) else pl.Series(ids, dtype=pl.String))
        for k, texts in self._texts.items():
            texts.extend(batch.texts[self._columns[k].name])
        spread(batch.x, self._places, self._numbers, here.start)
        if judged is not None:
            self.scores[:, here] = judged.scores.T
            self.action[here] = judged.verdicts.action

    def ids(self) -> pl.Series:
        """The ids of all rows."""
        return pl.concat([ids.alias("") for ids in self._ids])

    def feature(self, k: int) -> pl.Series:
        """One feature of all rows."""
        if k in self._texts:
            return pl.Series(self._texts[k], dtype=pl.String)
        values, type_ = _floats(self._numbers[k, : self.rows]), self._columns[k].type
        if type_ is Type.BOOLEAN:
            return values.cast(pl.Boolean)
        return values.cast(pl.Int64).cast(_TIME) if type_ is Type.TIME else values


def replay(
    detector: Detector,
    data: Any,
    models: "Ensemble | Path | str | None" = None,
    *,
    personal_key: bytes | None = None,
    max_refused: float = MOST_REFUSED,
) -> pl.DataFrame:
    """Decide recorded events and return one row for each, in arrival order.

    Args:
        detector: the one that decides.
        data: a file (.csv, .parquet, .ndjson) or a frame; see `penstock.offline.datasets`.
        models: an ensemble, or the folder of bundles whose champion scores; without models the scores are null and
            rules alone decide.
        personal_key: the secret behind tokens of personal values on lists; nothing else uses it.
        max_refused: the share of rows that may be refused because they are no events; a warning says which were.

    Returns:
        id, time, every feature, `score`, `score_MEMBER`, `decision`.

    Raises:
        DataError: the data does not fit the detector, or more of its rows than allowed were refused.
        BundleError: the models do not fit it.
    """
    recorded = accepted(read(data, detector), max_refused)
    if recorded.refusals and recorded is not data:  # the reader of the data has reported them already
        warnings.warn(recorded.refusals, stacklevel=2)
    return placed(detector, recorded, models, personal_key=personal_key)[0]


def placed(
    detector: Detector,
    recorded: Recorded,
    models: "Ensemble | Path | str | None" = None,
    *,
    personal_key: bytes | None = None,
) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """The result of `replay`, and the position of each of its rows in the recorded frame.

    Raises:
        BundleError: the models do not fit the detector.
    """
    ensemble = models if isinstance(models, Ensemble) or models is None else load_champion(Path(models), detector.name)
    return Replay(detector, ensemble, personal_key=personal_key or bytes(32)).placed(recorded)


def cuts(clock_us: NDArray[np.int64], known_us: NDArray[np.int64], fraud: NDArray[np.bool_]) -> list[int]:
    """Ends of pieces: a piece ends before the first event that could see a label of one of its events.

    clock_us: the stream's clock at each event.
    """
    ends: list[int] = []
    start, n = 0, len(clock_us)
    while start < n:
        due = np.minimum.accumulate(np.where(fraud[start:], known_us[start:], np.iinfo(np.int64).max))
        sees = np.flatnonzero(clock_us[start + 1 :] >= due[:-1])
        start = start + 1 + int(sees[0]) if len(sees) else n
        ends.append(start)
    return ends


def _floats(values: NDArray[np.float64]) -> pl.Series:
    return pl.Series(np.ascontiguousarray(values, np.float64), nan_to_null=True)
