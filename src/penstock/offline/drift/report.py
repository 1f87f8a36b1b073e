"""Assembly of the drift report: a window of a sketch compared with the reference, with findings."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np

from penstock.clock import EVER_US, from_us
from penstock.detector import Detector
from penstock.features import Aggregate, Derived
from penstock.features.vocabulary import LABELLED
from penstock.models import Ensemble
from penstock.models.reference import Reference, ReferenceColumn
from penstock.offline.daily.day import DayFigures
from penstock.offline.drift import findings, measures
from penstock.offline.drift.compare import DAY_H, ColumnShifts, DriftComparison, column_bins
from penstock.offline.drift.estimate import figures
from penstock.offline.drift.result import Bin, ColumnDrift, Daily, DriftReport, Finding, State
from penstock.offline.drift.sketch import DAY_US, HOUR_US, Counts, Sketch
from penstock.offline.drift.truth import truth_of

SHOWN_D = 30
"""Days of the trend."""

LEAST_H = 20
"""Hours of traffic without which nothing is judged: mornings are no drift of evenings."""

LEAST_DAYS = 3
"""Days of a reference without which nobody knows how days differ."""


class Reporter:
    """Reports of one detector against one reference.

    detector: whose features and rules are named. ensemble: None where rules alone decide.
    """

    def __init__(self, detector: Detector, reference: Reference, ensemble: Ensemble | None = None) -> None:
        self._detector, self._reference, self._ensemble = detector, reference, ensemble
        self._compared = DriftComparison(reference)
        found = reaches(detector)
        self._reach_d = np.array([self._reach(column, found) / DAY_US for column in reference.columns])
        self._youngest_d = np.array([reference.youngest_d(column) for column in reference.columns])
        self._ageing = self._reach_d > self._youngest_d
        labels = over_labels(detector)
        self._against_before = self._ageing & np.array([column.name not in labels for column in reference.columns])
        self._reads = _readers(detector, reference.columns)

    def _reach(self, column: ReferenceColumn, found: Mapping[str, int]) -> int:
        if column.kind != "score":
            return found.get(column.name, EVER_US)
        inputs = self._ensemble.features if self._ensemble is not None else self._detector.plan.inputs
        return max((found.get(name, EVER_US) for name in inputs), default=0)

    def report(
        self,
        sketch: Sketch,
        *,
        now_us: int,
        begun_us: int | None = None,
        days: Sequence[DayFigures] = (),
        first: int | None = None,
        stop: int | None = None,
    ) -> DriftReport:
        """The report of a window.

        Args:
            sketch: counts of the decisions.
            now_us: the current time, up to which labels count.
            begun_us: the time of the first event in state; None if unknown.
            days: decisions and known outcomes by day.
            first: hour since 1970 with which the window begins; 24 before its end unless given.
            stop: the hour before which it ends; that after the newest decision unless given.
        """
        span = sketch.span
        stop = (span[1] if span else 0) if stop is None else stop
        first = stop - DAY_H if first is None else first
        age_d = None if begun_us is None else max(first * HOUR_US - begun_us, 0) / DAY_US
        moved = self._moved(sketch, first, stop, age_d)
        judged = span is not None and stop - max(first, span[0]) >= LEAST_H
        columns = [
            self._column(at, moved, trend, self._state(at, moved, age_d, judged=judged))
            for at, trend in enumerate(self._trends(sketch, stop))
        ]
        estimate = figures(sketch.summed(first, stop))
        known = truth_of(days, sketch, now_us=now_us, label_delay_us=_delay_us(self._detector))
        found = self._findings(columns, moved)
        if judged:
            found += findings.of_whole(self._reference, estimate, known)
        return DriftReport(
            detector=self._detector.name,
            model_version=self._ensemble.version if self._ensemble is not None else None,
            made_at=from_us(now_us),
            reference=self._reference.data,
            reference_days=(self._reference.days[0], self._reference.days[-1]),
            since=_hour(first) if span else None,
            until=_hour(stop) if span else None,
            rows=int(moved.counts.sum(axis=-1).max(initial=0)),
            judged=judged,
            findings=sorted(found, key=lambda each: (not each.alarm, -max(each.models.values(), default=1.0))),
            estimate={"live": estimate, "training": dict(self._reference.expected)},
            truth=known,
            columns=sorted(columns, key=_weight),
            notes=self._notes(columns, judged=judged),
        )

    def _moved(self, sketch: Sketch, first: int, stop: int, age_d: float | None) -> ColumnShifts:
        youngest, oldest = self._reference.ages_d
        end_d = None if age_d is None else age_d + (stop - first) / DAY_H
        return self._compared.window(
            sketch,
            first,
            stop,
            ageing=self._ageing,
            against_before=self._against_before,
            beyond_d=oldest - youngest if end_d is None else end_d - oldest,
        )

    def _column(self, at: int, moved: ColumnShifts, days: list[Daily], state: State) -> ColumnDrift:
        column = self._reference.columns[at]
        live, training = moved.counts[at, : column.bins], moved.training[at, : column.bins]
        models, rules = self._reads[column.name]
        return ColumnDrift(
            name=column.name,
            kind=column.kind,
            state=state,
            rows=int(live.sum()),
            psi=float(moved.psi[at]),
            ks=None if column.kind == "text" else float(measures.ks(live, training)),
            js=float(measures.js(live, training)),
            limit=float(moved.limit[at]),
            lasting=float(moved.lasting[at]),
            recent=measures.finite(float(moved.recent[at])),
            recent_limit=float(moved.recent_limit[at]) if np.isfinite(moved.recent[at]) else None,
            missing=(_share(live, 0), _share(training, 0)),
            unseen=_share(live, len(live) - 1) if column.kind == "text" else 0.0,
            ageing=bool(self._ageing[at]),
            importance=self._reference.importance.get(column.name, {}),
            models=models,
            rules=rules,
            bins=[Bin(*each) for each in column_bins(column, training, live)],
            days=days,
        )

    def _state(self, at: int, moved: ColumnShifts, age_d: float | None, *, judged: bool) -> State:
        if not moved.counts[at].sum():
            return "absent"
        if age_d is not None and age_d < min(self._reach_d[at], self._youngest_d[at]):
            return "filling"
        if judged and moved.drifted[at]:
            return "drifted"
        return "few" if not judged or moved.few[at] else "stable"

    def _trends(self, sketch: Sketch, stop: int) -> list[list[Daily]]:
        """Of every column the index of each of the last days that decided anything, against training."""
        last = (stop - 1) // DAY_H
        first = max(last - SHOWN_D + 1, sketch.span[0] // DAY_H) if sketch.span else last
        hours = sketch.between(first * DAY_H, (last + 1) * DAY_H)
        days: Counts = hours.reshape(-1, DAY_H, *hours.shape[1:]).sum(axis=1)
        rows, index = days.sum(axis=-1), measures.psi(days, self._compared.training)
        dates = [from_us(day * DAY_US).date() for day in range(first, last + 1)]
        return [
            [Daily(date, int(rows[day, at]), float(index[day, at])) for day, date in enumerate(dates) if rows[day, at]]
            for at in range(len(self._reference.columns))
        ]

    def _findings(self, columns: Sequence[ColumnDrift], moved: ColumnShifts) -> list[Finding]:
        drifted = [(at, column) for at, column in enumerate(columns) if column.state == "drifted"]
        inputs_moved = any(column.kind != "score" and findings.matters(column) for _, column in drifted)
        return [findings.of_column(column, *self._bins(at, moved), inputs_moved=inputs_moved) for at, column in drifted]

    def _bins(self, at: int, moved: ColumnShifts) -> tuple[Counts, Counts]:
        bins = self._reference.columns[at].bins
        return moved.counts[at, :bins], moved.training[at, :bins]

    def _notes(self, columns: Sequence[ColumnDrift], *, judged: bool) -> list[str]:
        """Caveats about the figures."""
        notes = []
        if not judged:
            notes.append(f"Nothing is judged yet: it takes {LEAST_H} hours of traffic, since mornings differ from evenings.")
        filling = [column.name for column in columns if column.state == "filling"]
        if filling:
            notes.append(
                f"{len(filling)} columns look back further than events were recorded here, and still fill up as they had in"
                f" training: {', '.join(filling[:5])}{', ...' if len(filling) > 5 else ''}."
            )
        if len(self._reference.days) < LEAST_DAYS:
            notes.append(
                f"The reference holds {len(self._reference.days)} days: too few to show how days differ, so limits are wide."
            )
        return notes


def _readers(detector: Detector, columns: Sequence[ReferenceColumn]) -> dict[str, tuple[list[str], list[str]]]:
    """The members and the rules that read each column."""
    inputs = set(detector.plan.inputs)
    members = [model.name for model in detector.models]
    rules = [(rule.name, set(rule.reads)) for rule in detector.plan.rules]

    def read(column: ReferenceColumn) -> tuple[list[str], list[str]]:
        name = "score" if column.kind == "score" else column.name
        return (members if column.name in inputs else [], [rule for rule, reads in rules if name in reads])

    return {column.name: read(column) for column in columns}


def _weight(column: ColumnDrift) -> tuple[bool, bool, float]:
    """Sort key of columns: drifted ones first, then scores, then by importance."""
    return column.state != "drifted", column.kind != "score", -max(column.importance.values(), default=0.0)


def _share(counts: Counts, bin: int) -> float:
    return float(counts[bin] / max(counts.sum(), 1))


def _hour(hour: int) -> datetime:
    return from_us(hour * HOUR_US)


def _delay_us(detector: Detector) -> int:
    return detector.label.delay_us if detector.label is not None else 0


def reaches(detector: Detector) -> Mapping[str, int]:
    """Of every field and feature how far back it looks, in microseconds: a field not at all, a window its length and delay,
    what remembers for ever `EVER_US`, what is derived as far as anything it reads.
    """
    late_us = detector.label.delay_us if detector.label is not None else 0
    found = {
        feature.name: min(feature.window_us + feature.delay_us + (late_us if _of_labels(feature) else 0), EVER_US)
        for feature in detector.features
        if isinstance(feature, Aggregate)
    }
    return _derived(detector, dict.fromkeys(detector.plan.layout, 0) | found)


def over_labels(detector: Detector) -> frozenset[str]:
    """The features computed from labels, which jump whenever an attack becomes known."""
    given = {feature.name: 1 for feature in detector.features if isinstance(feature, Aggregate) and _of_labels(feature)}
    found = _derived(detector, dict.fromkeys(detector.plan.layout, 0) | given)
    return frozenset(name for name, of_labels in found.items() if of_labels)


def _of_labels(feature: Aggregate) -> bool:
    return feature.kind in LABELLED


def _derived(detector: Detector, found: dict[str, int]) -> dict[str, int]:
    """The same with derived features, each the maximum over its inputs."""
    derived = [feature for feature in detector.features if isinstance(feature, Derived)]
    for _ in derived:  # one may read another, in any order
        for feature in derived:
            found[feature.name] = max((found[word] for word in _words(feature.sql) if word in found), default=0)
    return found


def _words(sql: str) -> Iterable[str]:
    return re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^']*'", "", sql))
