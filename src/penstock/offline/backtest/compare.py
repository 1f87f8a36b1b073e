"""Comparison of a candidate detector with the champion on the same events: counts, changed decisions and their value."""

import time
from typing import Any, Literal

import msgspec
import polars as pl

from penstock.detector import Detector
from penstock.engine.statistics.distribution import worth_of
from penstock.offline.backtest.cells import Cell, count_of, matrix_of, money_of, side_of, truth_of
from penstock.offline.backtest.result import Money, Truth
from penstock.offline.backtest.side import BacktestSide
from penstock.offline.datasets import DECISION, ROW, Recorded


class Figures(msgspec.Struct, frozen=True):
    """Figures of one side.

    version: of the detector, where it was replayed. decisions: counts; per_day: the same a day. frauds_stopped,
    frauds_missed, good_stopped: counts of known outcomes; unobjected: how many of the last are good only because nobody
    objected. precision: of the stopped whose outcome is known; recall: of the known frauds; both with Wilson's 95 %
    interval, and null below 30 known outcomes. loss: amounts of known frauds that it approved; good_revenue_stopped: of
    good ones that it stopped; null where events have no amount, or several currencies. latency_us: of an event, on average,
    by stage, in a replay.
    """

    how: Literal["recorded", "replayed"]
    version: str | None
    decisions: dict[str, int]
    per_day: dict[str, float]
    frauds_stopped: int
    frauds_missed: int
    good_stopped: int
    precision: float | None
    recall: float | None
    loss: float | None
    good_revenue_stopped: float | None
    latency_us: dict[str, float]
    unobjected: int
    precision_low: float | None
    precision_high: float | None
    recall_low: float | None
    recall_high: float | None


class BacktestComparison(msgspec.Struct, frozen=True):
    """A candidate compared with the champion, over the events that both decided.

    matrix: counts by (champion's decision, candidate's decision). flips: decisions that differ. truth: their known
    outcomes. money: the candidate's effect; null where events have no amount. alone: events that only one of them decided,
    which are left out.
    """

    detector: str
    data: str
    events: int
    days: int
    champion: Figures
    candidate: Figures
    matrix: dict[str, dict[str, int]]
    flips: int
    truth: Truth
    money: Money | None
    alone: int
    notes: list[str]
    seconds: float


def compare(
    detector: Detector, recorded: Recorded, champion: BacktestSide, candidate: BacktestSide
) -> tuple[BacktestComparison, pl.DataFrame]:
    """Compare two sides: figures, and one row for each event that is decided differently.

    Args:
        detector: the candidate's; names the columns of time, amount and label.
        recorded: the events that both decided.
        champion: the side that decides now.
        candidate: the other side.

    Returns:
        The figures; and the flips with id, time, amount, `champion`, `candidate`, `champion_by`, `candidate_by`, `score` and
        `truth` (a field of `Truth`), in the order of the events.
    """
    began = time.perf_counter()
    facts = _facts(detector, recorded)
    both = facts
    for side, name in ((champion, "champion"), (candidate, "candidate")):
        both = _joined(both, _named(side, name))
    days = both["time"].dt.date().n_unique() if len(both) else 0
    flips = both.filter(pl.col("champion") != pl.col("candidate"))
    alone = len(champion.decided) + len(candidate.decided) - 2 * len(both)
    cells = _cells(both)
    changed = [cell for cell in cells if cell.changed]
    compared = BacktestComparison(
        detector=detector.name,
        data=recorded.name,
        events=len(both),
        days=days,
        champion=_figures(champion, cells, "champion", days, detector),
        candidate=_figures(candidate, cells, "candidate", days, detector),
        matrix=matrix_of(cells),
        flips=len(flips),
        truth=truth_of(changed),
        money=money_of(changed) if _says_worth(detector) else None,
        alone=alone,
        notes=[*([recorded.refusals] if recorded.refusals else []), *_notes(champion, candidate, cells, alone)],
        seconds=0.0,
    )
    return msgspec.structs.replace(compared, seconds=round(time.perf_counter() - began, 3)), _shown(flips, detector)


def _alike(left: pl.DataFrame, right: pl.DataFrame) -> bool:
    """Whether both are about the same events in the same order; rows are all different."""
    return len(left) == len(right) and bool((left[ROW] == right[ROW]).all())


def _joined(rows: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    """Inner join of both sides; done only where needed, because millions of ids make it slow."""
    if _alike(rows, more):
        return rows.hstack(more.drop(ROW))
    return rows.join(more, on=ROW, maintain_order="left")


def _named(side: BacktestSide, name: str) -> pl.DataFrame:
    columns: dict[str, Any] = {ROW: pl.col(ROW), name: pl.col("decision")}
    columns[f"{name}_by"] = pl.col("by") if "by" in side.decided.columns else pl.lit(None, pl.String)
    if name == "candidate":
        columns["score"] = pl.col("score") if "score" in side.decided.columns else pl.lit(None, pl.Float64)
    return side.decided.select(**columns)


def _facts(detector: Detector, recorded: Recorded) -> pl.DataFrame:
    """For each event its id, time, amount and known outcome."""
    frame = recorded.frame
    amount = detector.schema.amount
    label = detector.label.field if detector.label is not None else None
    fraud = pl.col(label) if label in frame.columns else pl.lit(None, pl.Boolean)
    approved = pl.col(DECISION).str.to_uppercase() == "APPROVE" if DECISION in frame.columns else pl.lit(False)
    has_labels = label in frame.columns and frame[label].count() > 0
    delay = pl.duration(microseconds=detector.label.delay_us if detector.label is not None else 0)
    young = pl.col(detector.time) > pl.col(detector.time).max() - delay
    truth = (
        pl.when(fraud)
        .then(pl.lit("fraud"))
        .when(~fraud)
        .then(pl.lit("good"))
        .when(pl.lit(not has_labels))
        .then(pl.lit("untold"))
        .when(young)
        .then(pl.lit("young"))
        .when(approved)
        .then(pl.lit("unobjected"))
        .otherwise(pl.lit("untold"))
    )
    return frame.select(
        ROW,
        id=pl.col(detector.id).cast(pl.String),
        time=pl.col(detector.time),
        amount=pl.col(amount) if amount is not None else pl.lit(None, pl.Float64),
        truth=truth,
    )


def _cells(both: pl.DataFrame) -> list[Cell]:
    counted = both.group_by("champion", "candidate", "truth").agg(count=pl.len(), worth=pl.col("amount").sum())
    return [Cell(None, *row) for row in counted.iter_rows()]


def _figures(
    side: BacktestSide, cells: list[Cell], name: Literal["champion", "candidate"], days: int, detector: Detector
) -> Figures:
    found, worth = side_of(cells, name), _says_worth(detector)
    return Figures(
        how=side.how,
        version=side.version,
        decisions=found.decisions,
        per_day={action: round(count / days, 2) if days else 0.0 for action, count in found.decisions.items()},
        frauds_stopped=found.frauds_stopped,
        frauds_missed=found.frauds_missed,
        good_stopped=found.good_stopped,
        precision=found.precision.value,
        recall=found.recall.value,
        loss=found.loss if worth else None,
        good_revenue_stopped=found.good_worth if worth else None,
        latency_us=side.latency_us,
        unobjected=found.unobjected,
        precision_low=found.precision.low,
        precision_high=found.precision.high,
        recall_low=found.recall.low,
        recall_high=found.recall.high,
    )


def _says_worth(detector: Detector) -> bool:
    """Whether amounts of the recorded events can be added up: several currencies cannot."""
    return detector.schema.amount is not None and worth_of(detector)[0] == detector.schema.amount


def _notes(champion: BacktestSide, candidate: BacktestSide, cells: list[Cell], alone: int) -> list[str]:
    notes = []
    if champion.how != candidate.how:
        notes.append("What the champion cost in time is not known: its decisions were recorded, not replayed.")
    if alone:
        notes.append(f"{alone:,} decisions of only one of the two are left out: history that was loaded, or events refused.")
    if not count_of(cell for cell in cells if cell.truth in ("fraud", "good")):
        notes.append("Nobody has labelled any of these events, so what is fraud and what is good is not known.")
    return notes


def _shown(flips: pl.DataFrame, detector: Detector) -> pl.DataFrame:
    names = ["id", "time", "amount", "champion", "candidate", "champion_by", "candidate_by", "score", "truth"]
    return flips.select(names).rename({"id": detector.id, "time": detector.time})
