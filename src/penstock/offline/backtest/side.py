"""One side of a comparison: the decision of one detector about each event, recorded or replayed."""

import time
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl

from penstock.detector import Detector
from penstock.messages import Action
from penstock.models import Ensemble
from penstock.offline.datasets import DECISION, ROW, Recorded
from penstock.offline.replay import Replay, ReplayChunk

BY = {-1: "score", -2: None, -3: "failure"}
"""What decided, where no rule did."""

_NAMES = pl.Series([action.name for action in Action])
_SCHEMA = {"row": pl.UInt32(), "decision": pl.String(), "by": pl.String(), "score": pl.Float64()}


@dataclass(frozen=True)
class BacktestSide:
    """The decisions of one detector.

    version: its own. how: whether that was recorded or replayed. decided: `row` (of
    the file: an id may come again), `decision`, and where it was replayed `by` (the
    rule that decided, `score`, or null) and `score`. latency_us: what an event cost on average by stage, in a replay.
    """

    version: str | None
    how: Literal["recorded", "replayed"]
    decided: pl.DataFrame
    latency_us: dict[str, float] = field(default_factory=dict)


def recorded_side(recorded: Recorded) -> BacktestSide | None:
    """The decisions as recorded; None where the data has none."""
    frame = recorded.frame
    if DECISION not in frame.columns or not frame[DECISION].count():
        return None
    decided = frame.select(ROW, decision=pl.col(DECISION).str.to_uppercase())
    return BacktestSide(None, "recorded", decided.filter(pl.col("decision").is_not_null()))


def replayed_side(detector: Detector, ensemble: Ensemble | None, recorded: Recorded) -> BacktestSide:
    """The decisions of a detector about recorded events, in arrival order, with labels arriving when they did.

    Raises:
        DataError: the data does not fit the detector.
    """
    replay = Replay(detector, ensemble)
    spent_ns: dict[str, int] = {}
    began = time.perf_counter_ns()
    parts = []
    for chunk in replay.chunks(recorded):
        parts.append(_decided(detector, chunk, recorded.frame[ROW]))
        for stage, ns in (chunk.judged.latency_ns if chunk.judged else {}).items():
            spent_ns[stage] = spent_ns.get(stage, 0) + ns
    spent_ns["total"] = time.perf_counter_ns() - began
    decided = pl.concat([pl.DataFrame(schema=_SCHEMA), *parts])
    latency_us = {stage: round(ns / 1000 / max(len(decided), 1), 2) for stage, ns in spent_ns.items()}
    return BacktestSide(detector.version, "replayed", decided, latency_us)


def _decided(detector: Detector, chunk: ReplayChunk, file_rows: pl.Series) -> pl.DataFrame:
    """The decisions of a chunk, without informing events."""
    judged = chunk.judged
    assert judged is not None
    rules = [rule.name for rule in detector.plan.rules]
    by = pl.Series([*rules, *BY.values()], dtype=pl.String)
    places = judged.verdicts.by.astype(np.int64)
    places = np.where(places >= 0, places, len(rules) - 1 - places)
    frame = pl.DataFrame(
        {
            "row": file_rows.gather(chunk.rows),
            "decision": _NAMES.gather(judged.verdicts.action),
            "by": by.gather(places),
            "score": pl.Series(np.ascontiguousarray(judged.scores[:, 0]), nan_to_null=True),
        }
    )
    return frame if not detector.informs else frame.filter(pl.Series(chunk.batch.kinds == 0))
