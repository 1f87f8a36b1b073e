"""Result types of a drift report: the body of `GET /detectors/{name}/drift?detail=true` and `penstock drift --json`."""

from datetime import date, datetime
from typing import Literal

import msgspec

State = Literal["stable", "drifted", "filling", "few", "absent"]
"""Of a column: stable; drifted: beyond what days, chance and age explain; filling: what it looks back on is not recorded yet,
so it cannot be compared; few: it has moved, but on too few rows to tell from chance; absent: no decision has it."""

Advice = Literal["retrain", "recalibrate", "look at the source", "nothing"]


class Bin(msgspec.Struct, frozen=True):
    """One bin: which rows fall into it, and what share of all they are."""

    label: str
    training: float
    live: float


class Daily(msgspec.Struct, frozen=True):
    """A column on one day (UTC): rows, and the index against training."""

    day: date
    rows: int
    psi: float


class ColumnDrift(msgspec.Struct, frozen=True):
    """One input or score, live against training.

    psi, ks, js: see `penstock.offline.drift.measures`; ks is None for texts. limit: how large the index must be to count.
    lasting: the index without the six hours that add most to it, so that a burst is not taken for a drift. recent: the index
    against the seven days before, with its limit. missing: shares (live, training). unseen: share of texts never seen.
    ageing: it looks back further than training had recorded, so it moves by itself as time goes on. importance: share in
    the scores of the ensemble and of each member. models: members that read it. rules: those that read it.
    """

    name: str
    kind: Literal["number", "text", "score"]
    state: State
    rows: int
    psi: float
    ks: float | None
    js: float
    limit: float
    lasting: float
    recent: float | None
    recent_limit: float | None
    missing: tuple[float, float]
    unseen: float
    ageing: bool
    importance: dict[str, float]
    models: list[str]
    rules: list[str]
    bins: list[Bin]
    days: list[Daily]


class Finding(msgspec.Struct, frozen=True):
    """A conclusion of the report. kind: shift, missing or unseen (of an input), score, calibration (labels and scores
    disagree) or estimate (scores separate frauds less well than before). alarm: it warrants an alarm. column: None for the
    whole. text: one sentence; advice: the remedy; because: its reason. models: members that read the column, with its share
    in their scores; rules: those that read it.
    """

    kind: Literal["shift", "missing", "unseen", "score", "calibration", "estimate"]
    alarm: bool
    column: str | None
    text: str
    advice: Advice
    because: str
    models: dict[str, float] = {}
    rules: list[str] = []


class TruthOfDay(msgspec.Struct, frozen=True):
    """Known outcomes of one day's decisions.

    expected: frauds that the calibrated scores say. frauds, stopped, caught: known frauds, decisions with a label that were
    stopped, and frauds among them. fraud_rate, precision: of what is known, with Wilson's 95 % interval; None below 30 known
    outcomes. young: labels of this day are still on their way, so its figures say less than they will.
    """

    day: date
    decisions: int
    known: int
    frauds: int
    stopped: int
    caught: int
    fraud_rate: float | None
    precision: float | None
    expected: float | None
    young: bool
    fraud_rate_low: float | None = None
    fraud_rate_high: float | None = None
    precision_low: float | None = None
    precision_high: float | None = None


class DriftReport(msgspec.Struct, frozen=True):
    """Live traffic of a detector compared with the training data of its models.

    since, until: the window that is judged, by event time. estimate: see `penstock.offline.drift.estimate`, for this window
    and for training. columns: the most important first. notes: caveats.
    """

    detector: str
    model_version: str | None
    made_at: datetime
    reference: str
    reference_days: tuple[str, str]
    since: datetime | None
    until: datetime | None
    rows: int
    judged: bool
    findings: list[Finding]
    estimate: dict[str, dict[str, float | None]]
    truth: list[TruthOfDay]
    columns: list[ColumnDrift]
    notes: list[str]

    @property
    def alarms(self) -> list[Finding]:
        """The findings that warrant an alarm."""
        return [finding for finding in self.findings if finding.alarm]

    @property
    def retrain(self) -> bool:
        """Whether an alarm calls for a training."""
        return any(finding.advice == "retrain" for finding in self.alarms)
