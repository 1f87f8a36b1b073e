"""Results of a trial by SQL over the ledger or its archive."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from penstock.clock import SECOND_US, iso
from penstock.decision.guard import TrialFigures
from penstock.detector import Detector
from penstock.engine.records import would
from penstock.engine.trials.challenger import MODEL, model_trial
from penstock.errors import DataError, did_you_mean
from penstock.offline.backtest.cells import Cell, effect_of
from penstock.offline.backtest.query_source import QuerySource, RecordedDecisions
from penstock.offline.sql_templates import quoted, text
from penstock.offline.trial.figures import ScoreFigures, judged, part_of, resampled, trial_figures
from penstock.offline.trial.result import Amount, Blocks, Compared, Times
from penstock.outcomes import Z, by_control_share

_BY_HOUR_DAYS = 7
_STEPS = 20
_DAY_US = 86_400 * SECOND_US
_CONTROL = {"control_share", "control_decision"}


@dataclass(frozen=True, slots=True)
class Question:
    """The parameters of a comparison.

    trial: `model`, or the name of a candidate rule with its version, as in `amount_spike_v2`. version: of the model; unless
    given, the one that began last among those that were tried last. days: how many, up to the newest event of the trial.
    since_us: nothing before this arrival.
    """

    trial: str = MODEL
    version: str | None = None
    days: int = 7
    since_us: int | None = None


def tried(archive: QuerySource, detector: Detector) -> list[str]:
    """All recorded trials of a detector: `model_VERSION`, and candidate rules with their versions."""
    prefix = would("")
    return sorted(name.removeprefix(prefix) for name in _TrialRecords(archive, detector, 0).columns if name.startswith(prefix))


def compare(archive: QuerySource, detector: Detector, question: Question, *, now_us: int) -> Compared:
    """Champion and candidate side by side, by hour (by day beyond a week), with intervals.

    Raises:
        DataError: no such trial is recorded.
    """
    began = time.perf_counter()
    return _Trial(_TrialRecords(archive, detector, now_us), question).compared(began)


def blocks(
    archive: QuerySource, detector: Detector, *, days: int = 30, now_us: int, until_us: int | None = None
) -> Blocks | None:
    """Estimates from the control share, also without a trial; None where there is no control share.

    days, until_us: of which arrivals; of the newest unless given. now_us: labels that are known by then count.
    """
    found = _TrialRecords(archive, detector, now_us)
    if not found.columns.keys() >= _CONTROL:
        return None
    until_us = now_us if until_us is None else min(until_us, now_us)
    since, until = (f"TIMESTAMPTZ {text(iso(at))}" for at in (until_us - days * _DAY_US, until_us))
    within = f"{found.mine} AND arrived_at > {since} AND arrived_at <= {until}"
    return blocks_of(found.ask_truth("blocks", within=within), worth=found.worth is not None)


def seen(archive: QuerySource, detector: Detector, question: Question, *, now_us: int) -> TrialFigures:
    """The figures of a trial that a guard waiting for labels needs; empty if it is not recorded yet."""
    try:
        return trial_figures(_Trial(_TrialRecords(archive, detector, now_us), question).cells())
    except DataError:
        return TrialFigures(0)


class _TrialRecords(RecordedDecisions):
    """The recorded decisions of one detector, and queries on them."""

    def __init__(self, archive: QuerySource, detector: Detector, now_us: int) -> None:
        super().__init__(archive, detector, now_us, "penstock.offline.trial", "trial.sql")
        self.has_labels = self.labelled and bool(len(archive.query(f"{self.labels()} LIMIT 1")))


class _Trial:
    """One recorded trial.

    Raises:
        DataError: it is not recorded.
    """

    def __init__(self, found: _TrialRecords, question: Question) -> None:
        self._found, self._question = found, question
        named = question.trial.removeprefix(model_trial("")) if f"score_{question.trial}" in found.columns else None
        self._model = question.trial == MODEL or named is not None
        self.version = (question.version or named or self._newest_version()) if self._model else question.trial
        self._name = model_trial(self.version) if self._model else question.trial
        self._column = would(self._name)
        if self._column not in found.columns:
            known = [name.removeprefix(would("")) for name in found.columns if name.startswith(would(""))]
            raise DataError(
                f"nothing is recorded of a trial {self._name!r} of {found.detector.name!r}.{did_you_mean(self._name, known)}"
            )
        self._took = quoted(f"trial_ms_{self._name}")
        self._tried = f"{self._took} IS NOT NULL"  # also where it could not judge
        self.until = self._newest()
        self.period = "hour" if question.days <= _BY_HOUR_DAYS else "day"
        self._within = f"{found.mine} AND {self._tried}{self._since()}"

    def _newest_version(self) -> str:
        if "versions_challenger" not in self._found.columns:
            raise DataError(f"no version of the models of {self._found.detector.name!r} was tried, as far as is recorded")
        together = self._found.ask("version")["version"].item()
        return str(together).rpartition(", ")[2]

    def _newest(self) -> datetime | None:
        row = self._found.ask("newest", tried=self._tried)
        newest = row["newest"].item()
        return newest if isinstance(newest, datetime) else None

    def _since(self) -> str:
        if self.until is None:
            return ""
        since = f" AND arrived_at > TIMESTAMPTZ {text(self.until - timedelta(days=self._question.days))}"
        if self._question.since_us is not None:
            since += f" AND arrived_at >= TIMESTAMPTZ {text(iso(self._question.since_us))}"
        return since

    def cells(self) -> list[Cell]:
        """Events by period, decisions and known outcome."""
        rows = self._found.ask_truth("cells", period=self.period, candidate=quoted(self._column), within=self._within)
        names = ("period", "champion", "candidate", "truth", "n", "worth")
        found = [Cell(*row) for row in rows.select(names).sort("period").iter_rows()]
        return [cell for cell in found if cell.champion is not None]

    def compared(self, began: float) -> Compared:
        """The complete result."""
        cells, worth = self.cells(), self._found.worth is not None
        further = self._further()
        by_period: dict[datetime, list[Cell]] = {}
        for cell in cells:
            assert isinstance(cell.at, datetime)
            by_period.setdefault(cell.at, []).append(cell)
        nothing = ScoreFigures({}, {})
        effects = [effect_of(judged(some)) for some in by_period.values()]
        return Compared(
            detector=self._found.detector.name,
            trial=self._question.trial,
            candidate=self.version,
            since=min(by_period, default=None),
            until=self.until,
            period=self.period,
            total=part_of(None, cells, further.get(None, nothing), worth=worth),
            parts=[part_of(at, some, further.get(at, nothing), worth=worth) for at, some in by_period.items()],
            loss_caught=resampled([caught for caught, *_ in effects]) if worth else None,
            good_stopped=resampled([stopped for _, stopped, _ in effects]) if worth else None,
            blocks=self._blocks(),
            notes=self._notes(cells),
            seconds=round(time.perf_counter() - began, 3),
        )

    def _further(self) -> dict[datetime | None, ScoreFigures]:
        """Scores and times by period, and of all periods together."""
        without = f"latency_ms_rules - {self._took}"
        stage = ("latency_ms_models", self._took) if self._model else (without, "latency_ms_rules")
        asked = {"period": self.period, "within": self._within}
        timed = self._found.ask("times", **asked, champion=stage[0], candidate=stage[1])
        times = {row["period"]: _times(row) for row in timed.iter_rows(named=True)}
        if not self._model:
            return {at: ScoreFigures({}, found) for at, found in times.items()}
        scores: dict[datetime | None, dict[str, list[int]]] = {None: {}}
        counted = self._found.ask("scores", **asked, candidate=quoted(f"score_{self._name}"))
        for period, which, step, n in counted.iter_rows():
            for at in (None, period):
                scores.setdefault(at, {}).setdefault(which, [0] * _STEPS)[step] += n
        return {at: ScoreFigures(scores.get(at, {}), times.get(at, {})) for at in {*scores, *times}}

    def _blocks(self) -> Blocks | None:
        if not self._found.columns.keys() >= _CONTROL:
            return None
        return blocks_of(self._found.ask_truth("blocks", within=self._within), worth=self._found.worth is not None)

    def _notes(self, cells: Sequence[Cell]) -> list[str]:
        notes = []
        if not self._found.has_labels:
            notes.append("Nobody has labelled any transaction here, so what is fraud and what is good is not known.")
        if self._found.worth is None:
            notes.append("Events do not say what they are worth, so there are counts alone.")
        young = sum(cell.count for cell in cells if cell.truth == "young")
        if young and self._found.has_labels:
            notes.append(
                f"Labels of {young:,} events may still come; precision and recall leave those out that are not labelled yet."
            )
        if any(cell.champion == "BLOCK" and cell.truth == "untold" for cell in cells):
            notes.append("Of what the champion stopped nobody learns the truth but by verdicts, or by a control share.")
        return notes


def blocks_of(rows: pl.DataFrame, *, worth: bool) -> Blocks | None:
    """Estimates from the control share; None if nothing was blocked under one. Each event let through stands for 1/share."""
    if not len(rows):
        return None
    has_labels = [row for row in rows.iter_rows(named=True) if row["let_through"]]
    known = [row for row in has_labels if row["truth"] != "unknown"]
    frauds = [row for row in known if row["truth"] == "fraud"]
    good = [row for row in known if row["truth"] != "fraud"]
    blocked = sum(row["n"] for row in rows.iter_rows(named=True) if not row["let_through"])
    precision = by_control_share(_weights(frauds), _weights(known))
    money = worth and precision.value is not None
    good_blocked = _blocked(good) if money else None
    return Blocks(
        blocked=blocked,
        let_through=_total(has_labels, "n"),
        known=_total(known, "n"),
        fraud=_total(frauds, "n"),
        precision=precision,
        good_stopped=None if good_blocked is None else good_blocked.value,
        fraud_prevented=_blocked(frauds) if money else None,
        good_blocked=good_blocked,
    )


def _blocked(rows: Sequence[Mapping[str, Any]]) -> Amount:
    """The estimated amount of blocked events from those let through: each weighs 1 / share - 1, without its own amount.

    The interval is that of the normal distribution. Source of its variance, of samples drawn one by one with known chances:
    Horvitz and Thompson, "A generalization of sampling without replacement from a finite universe" (1952).
    """
    value = sum(row["worth"] * (1 / row["share"] - 1) for row in rows)
    half = Z * math.sqrt(sum(row["squares"] * (1 - row["share"]) / row["share"] ** 2 for row in rows))
    return Amount(*(round(each, 2) for each in (value, max(value - half, 0.0), value + half)))


def _weights(rows: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    return [(row["n"], 1 / row["share"]) for row in rows]


def _total(rows: Sequence[Mapping[str, Any]], name: str) -> int:
    return sum(row[name] for row in rows)


def _times(row: Mapping[str, Any]) -> dict[str, Times]:
    def rounded(name: str) -> float | None:
        return None if row[name] is None else round(row[name], 4)

    return {which: Times(rounded(f"{which}_p50"), rounded(f"{which}_p99")) for which in ("champion", "candidate")}
